"""The driver on a double of the board: quantizing, packing, batches, and every way to fail."""

import json
import weakref
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pipeline.boards.package import SOURCES
from pipeline.dataflow.integer_model import Codes, IntegerModel
from tests.boards import faults
from tests.boards.fake_board import CONTROL, PACKET_FRAMES, FakeBoard, checksum

POSITIONS = 16
WIDTHS = [(1, -1, 0), (2, -2, 1), (4, -8, 7), (4, 0, 15), (5, -16, 15), (8, -128, 127), (8, 0, 255)]
"""Bits, lowest and highest code."""


def width(bits: int, low: int, high: int, **keys: Any) -> dict[str, Any]:
    """The keys of a description that a quantizer and the stream of its codes have."""
    return {
        "bits": bits,
        "low": low,
        "high": high,
        "signed": low < 0,
        "beat_bytes": -(-2 * bits // 8),
        **keys,
    }


@pytest.fixture
def accelerator(driver: ModuleType, bitstream: Callable[..., Path]) -> Any:
    """The usual one: 16 positions of I and Q, 4 bits, 7 classes."""
    return driver.Accelerator(bitstream(), batch=4, timeout_s=0.2)


def board_of(accelerator: Any) -> Any:
    return accelerator.device.board


def frames_of(accelerator: Any, count: int, seed: int = 3) -> np.ndarray:
    """Random codes."""
    d = accelerator.description
    rng = np.random.default_rng(seed)
    return rng.integers(d["low"], d["high"] + 1, (count, *accelerator.frame_shape))


def expected(accelerator: Any, codes: np.ndarray) -> list[int]:
    """Labels of the double: a checksum of what the stream should carry, packed here bit by bit."""
    d = accelerator.description
    frames = (packed(frame, d["bits"], d["beat_bytes"]) for frame in codes)
    return [checksum(frame, len(d["classes"])) for frame in frames]


def packed(frame: np.ndarray, bits: int, beat_bytes: int) -> np.ndarray:
    """The bytes of a frame: element 0 in the low bits of a word, two's complement."""
    words = []
    for position in frame.tolist():
        word = sum((code % 2**bits) << (bits * channel) for channel, code in enumerate(position))
        words.append(word.to_bytes(beat_bytes, "little"))
    return np.frombuffer(b"".join(words), np.uint8)


# --- quantizing -------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0.25, 2.0**-6, 0.1, 1 / 3, 0.7071067690849304, 3e-5])
@pytest.mark.parametrize(("bits", "low", "high"), WIDTHS)
def test_quantizes_as_the_model_does_around_every_boundary(
    driver: ModuleType,
    bitstream: Callable[..., Path],
    step: float,
    bits: int,
    low: int,
    high: int,
) -> None:
    step = float(np.float32(step))
    model = IntegerModel(Codes(low, high), step, POSITIONS, 2, ())
    points = (np.arange(low - 2, high + 2) + 0.5).astype(np.float32) * np.float32(step)
    up, down = np.float32(np.inf), np.float32(-np.inf)
    around = [points]
    for towards in (up, down):
        near = points
        for _ in range(3):
            near = np.nextafter(near, towards)
            around.append(near)
    tiny = np.float32([0, -0.0, 1e-45, -1e-45, 3e38, -3e38])
    values = np.concatenate([*around, points / 2, tiny])
    frames = np.resize(values, (-(-values.size // (2 * POSITIONS)), POSITIONS, 2))
    accelerator = driver.Accelerator(bitstream(**width(bits, low, high, step=step)))
    codes = accelerator.quantize(frames)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(codes, model.quantize(frames))
    assert {int(code) for code in codes.reshape(-1)} == set(range(low, high + 1))


def test_quantizes_random_values_of_any_step_as_the_model_does(
    driver: ModuleType, bitstream: Callable[..., Path]
) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        step = float(np.float32(rng.uniform(1e-3, 1)))
        model = IntegerModel(Codes(-8, 7), step, POSITIONS, 2, ())
        frames = rng.uniform(-10 * step, 10 * step, (500, POSITIONS, 2)).astype(np.float32)
        accelerator = driver.Accelerator(bitstream(step=step))
        np.testing.assert_array_equal(accelerator.quantize(frames), model.quantize(frames))


def test_doubles_are_rounded_to_float32_first_as_the_model_does(accelerator: Any) -> None:
    """Just below a half-way point in float64, on it in float32: to even."""
    frames = np.full((1, POSITIONS, 2), 0.375 - 1e-12)
    assert (accelerator.quantize(frames) == 2).all()
    assert (accelerator.quantize(np.full((1, POSITIONS, 2), 1e300)) == 7).all()
    assert (accelerator.quantize(np.full((POSITIONS, 2), -0.5, np.float16)) == -2).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_no_number(accelerator: Any, value: float) -> None:
    frames = np.zeros((6, POSITIONS, 2), np.float32)
    frames[5, 3, 1] = value
    with pytest.raises(ValueError, match=r"frame 5, position 3, channel 1: -?(nan|inf) cannot"):
        accelerator.classify(frames)
    assert accelerator.classify(np.zeros((1, POSITIONS, 2))).shape == (1,)


# --- packing and labels -----------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "low", "high"), WIDTHS)
def test_streams_every_code_in_its_place(
    driver: ModuleType, bitstream: Callable[..., Path], bits: int, low: int, high: int
) -> None:
    accelerator = driver.Accelerator(bitstream(**width(bits, low, high)), batch=4)
    codes = frames_of(accelerator, 11)
    assert accelerator.execute(codes).tolist() == expected(accelerator, codes)


def test_streams_words_of_three_bytes_and_gives_labels_of_two(
    driver: ModuleType, bitstream: Callable[..., Path]
) -> None:
    keys = {"channels": 3, "beat_bytes": 3, "label_bytes": 2, "no_result": 65535}
    classes = [str(i) for i in range(300)]
    file = bitstream(**width(8, -128, 127, **keys), classes=classes)
    accelerator = driver.Accelerator(file, batch=4)
    codes = frames_of(accelerator, 9)
    labels = accelerator.execute(codes)
    assert labels.tolist() == expected(accelerator, codes)
    assert labels.max() > 255


@pytest.mark.parametrize("bits", [3, 4, 6])
def test_two_positions_are_one_word(
    driver: ModuleType, bitstream: Callable[..., Path], bits: int
) -> None:
    """Side by side, without the bits that fill up a word between them."""
    keys = {"beat_positions": 2, "beat_bytes": -(-4 * bits // 8)}
    accelerator = driver.Accelerator(bitstream(**{**width(bits, -4, 3), **keys}), batch=4)
    codes = frames_of(accelerator, 6)
    assert accelerator.frame_shape == (POSITIONS, 2)
    pairs = codes.reshape(len(codes), POSITIONS // 2, 4)
    assert accelerator.execute(codes).tolist() == expected(accelerator, pairs)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 63])
def test_any_number_of_frames_in_any_batches(accelerator: Any, count: int) -> None:
    codes = frames_of(accelerator, count)
    assert accelerator.execute(codes).tolist() == expected(accelerator, codes)
    assert accelerator.counters()["frames out"] == count


def test_float_frames_are_quantized_on_their_way(accelerator: Any) -> None:
    frames = np.random.default_rng(4).standard_normal((10, POSITIONS, 2)).astype(np.float32)
    labels = accelerator.classify(frames)
    assert labels.tolist() == expected(accelerator, accelerator.quantize(frames))
    assert accelerator.names(labels[:2]) == [f"class {label}" for label in labels[:2]]


def test_one_frame_gives_one_label(accelerator: Any) -> None:
    frame = frames_of(accelerator, 1)[0]
    assert accelerator.classify(frame) == expected(accelerator, frame[None])[0]
    assert np.ndim(accelerator.classify(frame)) == 0
    assert accelerator.classify(frame.tolist()) == accelerator.classify(frame)


def test_the_next_batch_is_sent_while_labels_of_the_one_before_are_to_come(
    accelerator: Any, driver: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    for name in ("_pack", "_send", "_receive", "_unpacked"):
        method = getattr(driver.Accelerator, name)

        def noted(self: Any, k: int, *rest: Any, name: str = name, method: Any = method) -> Any:
            steps.append(f"{name[1:]} {k}")
            return method(self, k, *rest)

        monkeypatch.setattr(driver.Accelerator, name, noted)
    accelerator.execute(frames_of(accelerator, 12))
    assert [x for x in steps if x.startswith("send")] == ["send 0", "send 1", "send 2"]
    for earlier, later in pairwise(
        ["receive 0", "send 0", "pack 1", "send 1", "receive 1", "unpacked 0", "pack 2", "send 2"]
    ):
        assert steps.index(earlier) < steps.index(later), steps


def test_the_number_of_frames_is_told_once_and_for_the_rest(accelerator: Any) -> None:
    accelerator.execute(frames_of(accelerator, 11))
    told = [value for offset, value in board_of(accelerator).accesses if offset == PACKET_FRAMES]
    assert told == [4, 3]


def test_a_batch_is_not_larger_than_the_dma_takes(
    driver: ModuleType, bitstream: Callable[..., Path]
) -> None:
    file = bitstream()
    hwh = file.with_suffix(".hwh")
    bits = '"c_sg_length_width" VALUE="{}"'
    narrow = hwh.read_text().replace(bits.format(26), bits.format(8))
    hwh.write_text(narrow)
    accelerator = driver.Accelerator(file, batch=1000)
    assert accelerator.batch == 255 // POSITIONS
    codes = frames_of(accelerator, 40)
    assert accelerator.execute(codes).tolist() == expected(accelerator, codes)
    hwh.write_text(narrow.replace(bits.format(8), bits.format(4)))
    with pytest.raises(ValueError, match="the DMA takes 1 to 0 frames"):
        driver.Accelerator(file)


def test_memory_is_given_back(accelerator: Any) -> None:
    with accelerator:
        accelerator.execute(frames_of(accelerator, 1))
        buffers = [*accelerator._inputs, *accelerator._outputs]
        held = [weakref.ref(buffer) for buffer in accelerator._inputs]
    assert len(buffers) == 4
    for buffer in buffers:
        assert accelerator.device.memory.find(buffer.physical_address, 1) is None
    with pytest.raises(RuntimeError, match="was closed"):
        accelerator.execute(np.zeros((1, POSITIONS, 2), int))
    del buffers, buffer
    assert held[1]() is None  # the first is what the DMA has sent latest


def test_throughput_is_that_of_the_cycle_counter(accelerator: Any) -> None:
    result = accelerator.throughput_test(frames=10)
    assert result["interval_cycles"] == result["latency_cycles"] == POSITIONS
    assert result["accelerator_frames_per_second"] == pytest.approx(100e6 / POSITIONS)
    assert result["frames_per_second"] == pytest.approx(10 / result["seconds"])


# --- wrong input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "error", "message"),
    [
        (np.zeros((3, POSITIONS, 3)), ValueError, r"shape \(3, 16, 3\), not \(n, 16, 2\) or"),
        (np.zeros((3, 8, 2)), ValueError, r"shape \(3, 8, 2\)"),
        (np.zeros((2, 2, POSITIONS, 2)), ValueError, r"shape \(2, 2, 16, 2\)"),
        (np.zeros(POSITIONS), ValueError, r"shape \(16,\)"),
        (np.zeros((1, POSITIONS, 2), complex), TypeError, "complex128, not float I and Q"),
        (np.zeros((1, POSITIONS, 2), bool), TypeError, "frames are bool"),
        (np.full((1, POSITIONS, 2), "1"), TypeError, "frames are <U1"),
        (np.full((5, POSITIONS, 2), 8), ValueError, "frame 0, position 0, channel 0: 8 is no code"),
        (np.full((1, POSITIONS, 2), -9, np.int8), ValueError, "-9 is no code: -8 to 7"),
        (np.full((1, POSITIONS, 2), 255, np.uint8), ValueError, "255 is no code"),
    ],
)
def test_wrong_frames_are_named(
    accelerator: Any, frames: np.ndarray, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        accelerator.classify(frames)
    codes = frames_of(accelerator, 5)
    assert accelerator.execute(codes).tolist() == expected(accelerator, codes)


def test_a_wrong_code_in_a_later_batch_has_its_own_number(accelerator: Any) -> None:
    codes = frames_of(accelerator, 9)
    codes[6, 2, 1] = 99
    with pytest.raises(ValueError, match="frame 6, position 2, channel 1: 99 is no code"):
        accelerator.classify(codes)
    codes[6, 2, 1] = 0
    assert accelerator.classify(codes).tolist() == expected(accelerator, codes)


def test_floats_are_no_codes_and_codes_are_not_quantized(accelerator: Any) -> None:
    with pytest.raises(TypeError, match="codes are integers, not float64"):
        accelerator.execute(np.zeros((1, POSITIONS, 2)))
    with pytest.raises(TypeError, match="only float I/Q is quantized"):
        accelerator.quantize(np.zeros((1, POSITIONS, 2), int))


# --- the wrong bitstream ----------------------------------------------------------------------


def test_a_changed_bitstream_is_not_loaded(
    driver: ModuleType, bitstream: Callable[..., Path]
) -> None:
    file = bitstream()
    with file.open("ab") as bit:
        bit.write(b" ")
    from pynq import Device  # noqa: PLC0415

    with pytest.raises(driver.BitstreamError, match=r"was not loaded: its SHA-256 is [0-9a-f]{64}"):
        driver.Accelerator(file)
    assert Device.active_device.board is None


@pytest.mark.parametrize("suffix", [".bit", ".hwh", ".json"])
def test_a_file_that_is_missing_is_named(
    driver: ModuleType, bitstream: Callable[..., Path], suffix: str
) -> None:
    file = bitstream()
    file.with_suffix(suffix).unlink()
    with pytest.raises(FileNotFoundError, match=rf"accelerator\{suffix} is not there"):
        driver.Accelerator(file)


def test_another_format_is_refused(driver: ModuleType, bitstream: Callable[..., Path]) -> None:
    with pytest.raises(driver.BitstreamError, match="not of the format 1"):
        driver.Accelerator(bitstream(format=2))


@pytest.mark.parametrize(
    ("offset", "value", "what"),
    [
        (0x00, 0xDEADBEEF, "magic number is 3735928559"),
        (0x04, 2, "register map is 2, not 1"),
        (0x2C, 0xFFFFFFFF, "hash is 0123456789abcdef01234567ffffffff"),
        (0x10, 1024, "frame length in words is 1024, not 16"),
        (0x14, 24, "number of classes is 24, not 7"),
    ],
)
def test_another_accelerator_is_found_out_by_its_registers(
    driver: ModuleType,
    bitstream: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    offset: int,
    value: int,
    what: str,
) -> None:
    from pynq import device  # noqa: PLC0415

    make = device.Board
    monkeypatch.setattr(
        device, "Board", lambda path: faults.OtherRegister(make(path), offset, value)
    )
    with pytest.raises(driver.BitstreamError, match=what):
        driver.Accelerator(bitstream())


def test_a_design_without_our_cells_is_refused(
    driver: ModuleType, bitstream: Callable[..., Path]
) -> None:
    file = bitstream()
    hwh = file.with_suffix(".hwh")
    hwh.write_text(hwh.read_text().replace('"/dma"', '"/other"'))
    with pytest.raises(driver.BitstreamError, match="has no 'dma', only ps, other, accelerator"):
        driver.Accelerator(file)


def test_the_clock_is_what_the_bitstream_was_made_for(
    driver: ModuleType, bitstream: Callable[..., Path]
) -> None:
    file = bitstream(clock_mhz=50.0)
    hwh = file.with_suffix(".hwh")
    hwh.write_text(hwh.read_text().replace('DIVISOR0" VALUE="20"', 'DIVISOR0" VALUE="4"'))
    assert driver.Accelerator(file).clock_mhz == 50.0


# --- data that stop ---------------------------------------------------------------------------


def failed(accelerator: Any, driver: ModuleType, fault: Any, count: int = 9) -> str:
    """What a call says with a fault planted; that the device can be used afterwards is checked."""
    device = accelerator.device
    device.board = fault(device.board)
    codes = frames_of(accelerator, count)
    with pytest.raises(driver.TransferError) as caught:
        accelerator.execute(codes)
    message = str(caught.value)
    assert message.endswith("the device has been reset for the next call")
    assert accelerator.execute(codes).tolist() == expected(accelerator, codes)
    return message


def test_says_where_data_stopped_on_the_way_in(accelerator: Any, driver: ModuleType) -> None:
    said = failed(accelerator, driver, lambda board: faults.StuckSending(board, 2 * POSITIONS + 5))
    assert "nothing moved for 0.2 s (frames 0 to 3)" in said
    assert "into the accelerator, MM2S running: 2 frames, 32 bytes" in said
    assert "out of it, S2MM running: 2 labels, 2 bytes" in said
    assert "counted: 2 frames in, 2 frames out, 0 short frames" in said


def test_says_where_data_stopped_on_the_way_out(accelerator: Any, driver: ModuleType) -> None:
    said = failed(accelerator, driver, faults.StuckReceiving)
    assert "MM2S done: 8 frames, 128 bytes" in said
    assert "S2MM running: 0 labels, 0 bytes" in said


def test_a_short_frame_is_said_to_be_one(accelerator: Any, driver: ModuleType) -> None:
    said = failed(accelerator, driver, lambda board: faults.OtherLength(board, -3))
    assert "frame 3 got the label 255, of no class" in said
    assert "1 short frames, 0 long frames" in said
    assert "dropped: frame 3 of its packet, which had 13 beats" in said


def test_a_long_frame_is_said_to_be_one(accelerator: Any, driver: ModuleType) -> None:
    said = failed(accelerator, driver, lambda board: faults.OtherLength(board, 7))
    assert "0 short frames, 1 long frames" in said
    assert "dropped: frame 3 of its packet, which had 23 beats" in said


def test_labels_that_are_missing_are_noticed(accelerator: Any, driver: ModuleType) -> None:
    said = failed(accelerator, driver, lambda board: faults.OtherLength(board, -POSITIONS))
    assert "3 of 4 bytes of labels came (frames 0 to 3)" in said
    assert "1 short packets" in said


def test_a_label_that_no_class_has_is_noticed(accelerator: Any, driver: ModuleType) -> None:
    device = accelerator.device
    device.board = faults.WrongLabel(device.board)
    with pytest.raises(driver.TransferError, match="frame 0 got the label 200, of no class"):
        accelerator.execute(frames_of(accelerator, 9))


def test_a_counter_that_does_not_add_up_is_noticed(accelerator: Any, driver: ModuleType) -> None:
    """With 256 classes no label is that of a dropped frame: the counters tell."""
    device = accelerator.device
    device.board = faults.OtherRegister(device.board, 0x44, 0)
    with pytest.raises(driver.TransferError, match="the accelerator counted other frames"):
        accelerator.execute(frames_of(accelerator, 3))


def test_counters_may_wrap(accelerator: Any) -> None:
    board_of(accelerator).registers.update({0x40: 2**32 - 2, 0x44: 2**32 - 2})
    accelerator.execute(frames_of(accelerator, 5))


@pytest.mark.parametrize("calls", range(1, 40, 3))
def test_an_interrupt_at_any_time_leaves_the_device_usable(accelerator: Any, calls: int) -> None:
    device = accelerator.device
    codes = frames_of(accelerator, 9)
    device.board = faults.Interrupted(device.board, calls)

    def work() -> None:
        while True:
            accelerator.execute(codes)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert accelerator.execute(codes).tolist() == expected(accelerator, codes)


@pytest.mark.parametrize("calls", range(1, 30, 2))
def test_a_second_interrupt_while_the_device_is_reset_does_no_harm(
    accelerator: Any, driver: ModuleType, calls: int
) -> None:
    device, codes = accelerator.device, frames_of(accelerator, 9)
    device.board = faults.StuckReceiving(device.board)
    recover = accelerator.recover

    def interrupted() -> None:
        device.board = faults.Interrupted(device.board, calls)
        recover()

    accelerator.recover = interrupted
    with pytest.raises((KeyboardInterrupt, driver.TransferError)):
        accelerator.execute(codes)
    accelerator.recover, device.board = recover, device.board.board
    assert accelerator.execute(codes).tolist() == expected(accelerator, codes)


def test_a_device_that_stays_in_reset_is_said_to(
    accelerator: Any, driver: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "RESET_SECONDS", 0.05)
    device = accelerator.device
    device.board = faults.OtherRegister(device.board, CONTROL, 1)
    with pytest.raises(driver.TransferError, match="does not come out of its reset"):
        accelerator.recover()


def test_an_error_of_the_dma_is_named(accelerator: Any, driver: ModuleType) -> None:
    for buffer in accelerator._inputs:
        buffer.freebuffer()
    with pytest.raises(RuntimeError, match="it was freed"):
        accelerator.execute(frames_of(accelerator, 1))
    accelerator._allocate(4)
    for output in accelerator._outputs:
        output.freebuffer()
    with pytest.raises(driver.TransferError, match="the DMA ended: decode error"):
        accelerator.execute(frames_of(accelerator, 1))


def test_the_description_says_everything_that_the_double_needs(accelerator: Any) -> None:
    assert isinstance(board_of(accelerator), FakeBoard)
    assert json.loads(Path(accelerator.bitfile_name).read_text())["model"] == "small"


# --- faults planted in the driver itself ------------------------------------------------------

MUTANTS = {
    "one buffer to send from": ("self._inputs[k % 2]", "self._inputs[0]"),
    "one buffer to receive into": ("self._outputs[k % 2]", "self._outputs[0]"),
    "labels read through a stale cache": ("buffer.invalidate()", "pass"),
    "the number of frames is not told": ("write(PACKET_FRAMES, count)", "read(PACKET_FRAMES)"),
    "sent before there is room": ("self._wait(MM2S, part, before)", "pass"),
    "read before they are there": ("self._wait(S2MM, part, before)", "pass"),
    "channels in the wrong order": ("reversed(range(beats.shape[2]))", "range(beats.shape[2])"),
    "codes without a mask": ("& word.type((1 << bits) - 1)", ""),
    "half up": ("np.rint(values, out=values)", "np.floor(values + 0.5, out=values)"),
    "not clipped": ('np.clip(values, self.description["low"], ', "np.clip(values, -99, "),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_in_the_driver_does_not_go_unnoticed(
    bitstream: Callable[..., Path],
    driver: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    """Every one of these would do on some runs of a real board: here it never does."""
    from pynq import device  # noqa: PLC0415

    monkeypatch.setattr(device, "CYCLES_OF_AN_ACCESS", 1)
    old, new = MUTANTS[fault]
    source = (SOURCES / "driver.py").read_text()
    assert old in source
    mutant = ModuleType("mutant")
    mutant.__file__ = str(SOURCES / "driver.py")
    exec(compile(source.replace(old, new), "mutant", "exec"), mutant.__dict__)
    frames = np.random.default_rng(1).uniform(-3, 3, (15, POSITIONS, 2)).astype(np.float32)
    frames[:, :4] = 0.625
    sound = driver.Accelerator(bitstream(), batch=4)
    wanted = sound.classify(frames).tolist()
    accelerator = mutant.Accelerator(bitstream(), batch=4, timeout_s=0.1)
    try:
        found = accelerator.classify(frames).tolist()
    except RuntimeError:
        return
    assert found != wanted
