"""The stand-in for pynq: its DMA, buffers, registers and overlays, as drivers know them."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pipeline.boards.emulator.handoff import FAMILIES, hand_off
from tests.boards import faults
from tests.boards.fake_board import checksum

BEATS, CLASSES = 16, 7


@pytest.fixture
def overlay(stand_in: ModuleType, bitstream: Callable[..., Path]) -> Any:
    """An overlay with the usual double, as a program of its own would load it."""
    import pynq.lib.dma  # noqa: F401, PLC0415

    return stand_in.Overlay(str(bitstream()))


def buffers(stand_in: ModuleType, frames: int = 1) -> tuple[Any, Any]:
    """Codes to send, and room for labels."""
    codes = stand_in.allocate((frames, BEATS), np.uint8)
    codes[:] = np.arange(codes.size).reshape(codes.shape)
    return codes, stand_in.allocate((frames,), np.uint8)


def test_the_dma_is_used_as_every_pynq_program_does(stand_in: ModuleType, overlay: Any) -> None:
    dma, (codes, labels) = overlay.dma, buffers(stand_in)
    for _ in range(3):
        dma.recvchannel.transfer(labels)
        dma.sendchannel.transfer(codes)
        dma.sendchannel.wait()
        dma.recvchannel.wait()
        assert labels[0] == checksum(np.asarray(codes[0]), CLASSES)
    assert (dma.sendchannel.transferred, dma.recvchannel.transferred) == (BEATS, 1)


def test_a_part_of_a_buffer_is_sent_by_slice_or_by_numbers(
    stand_in: ModuleType, overlay: Any
) -> None:
    dma, (codes, labels) = overlay.dma, buffers(stand_in, 3)
    assert codes[2].physical_address == codes.physical_address + 2 * BEATS
    for transfer in (
        lambda: dma.sendchannel.transfer(codes[2]),
        lambda: dma.sendchannel.transfer(codes, start=2 * BEATS, nbytes=BEATS),
    ):
        dma.recvchannel.transfer(labels, nbytes=1)
        transfer()
        dma.recvchannel.wait()
        assert labels[0] == checksum(np.asarray(codes[2]), CLASSES)


def test_channels_have_the_states_of_the_hardware(stand_in: ModuleType, overlay: Any) -> None:
    send, (codes, _) = overlay.dma.sendchannel, buffers(stand_in)
    assert send.running
    assert not send.idle  # before the first transfer
    assert not send.error
    send.transfer(codes)
    send.wait()
    assert send.idle
    send.stop()
    assert not send.running
    with pytest.raises(RuntimeError, match="not started"):
        send.transfer(codes)
    with pytest.raises(RuntimeError, match="not started"):
        send.wait()
    send.start()
    send.transfer(codes)


def test_a_channel_that_is_busy_takes_no_other_transfer(stand_in: ModuleType, overlay: Any) -> None:
    dma, (codes, labels) = overlay.dma, buffers(stand_in)
    dma.recvchannel.transfer(labels)
    with pytest.raises(RuntimeError, match="not idle"):
        dma.recvchannel.transfer(labels)
    dma.sendchannel.transfer(codes)
    dma.recvchannel.wait()


def test_errors_are_those_of_the_hardware(stand_in: ModuleType, overlay: Any) -> None:
    dma, (codes, labels) = overlay.dma, buffers(stand_in, 2)
    overlay.accelerator.write(0x18, 2)
    dma.recvchannel.transfer(labels, nbytes=1)  # of two that come
    dma.sendchannel.transfer(codes)
    with pytest.raises(RuntimeError, match="Internal Error"):
        dma.recvchannel.wait()
    assert dma.recvchannel.error
    codes.freebuffer()
    dma.write(0x00, 4)
    dma.sendchannel.start()
    dma.write(0x18, 0xFFFF0000)  # where there is no memory
    dma.write(0x28, 64)
    with pytest.raises(RuntimeError, match="Decode Error"):
        dma.sendchannel.wait()


@pytest.mark.parametrize(
    ("start", "nbytes", "error", "message"),
    [(3, 8, RuntimeError, "aligned to 8 bytes"), (0, 1 << 26, ValueError, "67108863 at most")],
)
def test_transfers_that_the_dma_cannot_do(
    stand_in: ModuleType,
    overlay: Any,
    start: int,
    nbytes: int,
    error: type[Exception],
    message: str,
) -> None:
    codes, _ = buffers(stand_in)
    with pytest.raises(error, match=message):
        overlay.dma.sendchannel.transfer(codes, start=start, nbytes=nbytes)


def test_a_stop_waits_for_a_transfer_that_hangs_and_a_reset_does_not(
    stand_in: ModuleType, overlay: Any
) -> None:
    device = overlay.device
    device.board = faults.StuckSending(device.board, 5)
    codes, _ = buffers(stand_in)
    send = overlay.dma.sendchannel
    send.transfer(codes)
    overlay.dma.write(0x00, 0)
    assert all(send.running for _ in range(10))
    overlay.dma.write(0x00, 4)
    assert not send.running
    assert overlay.dma.read(0x00) == 0


def test_memory_is_behind_a_cache(stand_in: ModuleType, overlay: Any) -> None:
    buffer = stand_in.allocate((8,), np.uint8)
    memory = overlay.device.memory.find(buffer.physical_address, 8)
    buffer[:] = 3
    assert (memory != 3).all()
    buffer.flush()
    assert (memory == 3).all()
    memory[:] = 4
    assert (buffer == 3).all()
    buffer[2:4].invalidate()
    assert buffer.tolist() == [3, 3, 4, 4, 3, 3, 3, 3]
    with pytest.raises(ValueError, match="contiguous"):
        buffer[::2].flush()


def test_a_buffer_is_not_written_to_while_it_is_sent(stand_in: ModuleType, overlay: Any) -> None:
    device = overlay.device
    device.board = faults.StuckSending(device.board, 5)
    codes, _ = buffers(stand_in)
    overlay.dma.sendchannel.transfer(codes)
    codes[0, 9] += 1
    with pytest.raises(RuntimeError, match="buffer that is being sent"):
        overlay.dma.sendchannel.wait()


def test_memory_comes_with_a_bitstream(
    stand_in: ModuleType, bitstream: Callable[..., Path]
) -> None:
    bitstream()
    with pytest.raises(RuntimeError, match="not downloaded"):
        stand_in.allocate((1,), np.uint8)


def test_registers_by_address(stand_in: ModuleType, overlay: Any) -> None:
    mmio = stand_in.MMIO(0x43C0_0000, 0x10000)
    assert mmio.read(0) == overlay.accelerator.read(0) == 0x414D4346
    mmio.write(0x18, 9)
    assert overlay.accelerator.read(0x18) == 9
    for call, error in (
        (lambda: mmio.read(2), MemoryError),
        (lambda: mmio.read(-4), ValueError),
        (lambda: mmio.read(0x10000), IndexError),
        (lambda: mmio.write(0, 1.5), ValueError),
        (lambda: stand_in.MMIO(0x1000_0000).read(), OSError),
    ):
        with pytest.raises(error):
            call()


def test_an_overlay_that_was_replaced_is_not_loaded(
    stand_in: ModuleType, overlay: Any, tmp_path: Path
) -> None:
    other = tmp_path / "other.bit"
    for suffix in (".bit", ".hwh"):
        other.with_suffix(suffix).write_bytes((tmp_path / f"accelerator{suffix}").read_bytes())
    stand_in.Overlay(str(other))
    assert not overlay.is_loaded()
    with pytest.raises(RuntimeError, match="not currently loaded"):
        _ = overlay.dma


def test_what_an_overlay_needs(stand_in: ModuleType, overlay: Any, tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="IP or hierarchy nothing"):
        _ = overlay.nothing
    with pytest.raises(OSError, match="does not exist"):
        stand_in.Overlay(str(tmp_path / "none.bit"))
    (tmp_path / "accelerator.hwh").unlink()
    with pytest.raises(ValueError, match="Cannot find HWH"):
        stand_in.Overlay(str(tmp_path / "accelerator.bit"))
    with pytest.raises(TypeError):
        stand_in.Overlay(tmp_path / "accelerator.bit")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("clock_mhz", [50.0, 100.0, 142.857])
def test_the_hand_off_says_where_the_cells_are_and_how_fast(
    stand_in: ModuleType, tmp_path: Path, family: str, clock_mhz: float
) -> None:
    from pynq.hwh import HandOff  # noqa: PLC0415

    file = tmp_path / "x.hwh"
    file.write_text(hand_off(family, clock_mhz))
    found = HandOff(file)
    assert found.ip_dict["dma"]["phys_addr"] == FAMILIES[family].dma
    assert found.ip_dict["dma"]["addr_range"] == 0x10000
    assert found.ip_dict["dma"]["type"] == "xilinx.com:ip:axi_dma:7.1"
    assert found.ip_dict["accelerator"]["phys_addr"] == FAMILIES[family].accelerator
    stand_in.Clocks.divisors = found.divisors
    assert stand_in.Clocks.fclk0_mhz == pytest.approx(clock_mhz, rel=1e-3)


def test_a_hand_off_without_a_processing_system_is_refused(
    stand_in: ModuleType, tmp_path: Path
) -> None:
    from pynq.hwh import HandOff  # noqa: PLC0415

    file = tmp_path / "x.hwh"
    file.write_text(hand_off("zynq7", 100.0).replace("processing_system7", "other"))
    with pytest.raises(ValueError, match="0 processing systems"):
        HandOff(file)


def test_a_bitstream_of_a_real_board_is_refused(stand_in: ModuleType, tmp_path: Path) -> None:
    from pynq.board import Board  # noqa: PLC0415

    file = tmp_path / "accelerator.bit"
    file.write_bytes(bytes(range(64)))
    with pytest.raises(RuntimeError, match="no bitstream of an emulated board"):
        Board(file)
