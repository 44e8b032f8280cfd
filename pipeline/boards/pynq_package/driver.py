"""Runs the accelerator of this folder on a PYNQ board.

    from driver import Accelerator

    with Accelerator() as accelerator:
        labels = accelerator.classify(frames)           # (n, 1024, 2): float I/Q, or integer codes
        print(accelerator.names(labels))

Needs pynq 2.7 or newer and numpy, and runs as root, as everything does that uses PYNQ.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import numpy as np
import pynq.lib.dma  # noqa: F401  (makes Overlay drive the AXI DMA with it)
from pynq import Overlay, allocate
from pynq.ps import Clocks

Counts = Dict[str, int]

BESIDE = Path(__file__).resolve().parent / "accelerator.bit"
FORMAT = 1

# Registers of the accelerator: byte offsets.
MAGIC, VERSION, CONTROL, STATUS = 0x00, 0x04, 0x08, 0x0C
FRAME_BEATS, CLASSES, PACKET_FRAMES, HASH = 0x10, 0x14, 0x18, 0x20
BAD_BEATS, BAD_FRAME, CYCLES_LO, CYCLES_HI = 0x54, 0x58, 0x60, 0x64
FIRST_COUNTER = 0x40
COUNTERS = ("frames in", "frames out", "short frames", "long frames", "short packets")
IS_AMCFLOW, REGISTER_MAP = 0x414D4346, 1

# Registers of the AXI DMA (AMD PG021): of a channel, from its offset on.
MM2S, S2MM = 0x00, 0x30
DMA_CONTROL, DMA_STATUS, DMA_LENGTH = 0x00, 0x04, 0x28
RESET = 4
STATES = {0x10: "internal error", 0x20: "slave error", 0x40: "decode error", 1: "halted", 2: "done"}
RESET_SECONDS = 2.0


class BitstreamError(RuntimeError):
    """The bitstream is not the one that this package was made for."""


class TransferError(RuntimeError):
    """Data stopped on their way, or came back incomplete; the device has been reset."""


class Accelerator(Overlay):
    """The accelerator, loaded into the FPGA.

    bitstream: path of the .bit; its .hwh and .json have the same stem (default: beside this file).
    batch: frames of a DMA transfer, at most; two transfers each way have room in memory.
    timeout_s: a call gives up after so many seconds without a frame going in or a label coming out.
    """

    def __init__(self, bitstream: Any = BESIDE, batch: int = 64, timeout_s: float = 5.0) -> None:
        path = Path(bitstream).resolve()
        self.description = read_description(path)
        self._beats = self.description["frame_length"] // self.description["beat_positions"]
        self.timeout_s = timeout_s
        super().__init__(str(path))
        # kept, since Overlay checks at every access that it is still what is loaded
        self._dma, self._registers = self._cell("dma"), self._cell("accelerator")
        self._set_clock()
        self._check_identity()
        self._allocate(batch)
        self.recover()

    @property
    def classes(self) -> list[str]:
        """Names of the classes; a label is an index of it."""
        return self.description["classes"]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(positions, channels) of a frame: (1024, 2) for I/Q."""
        return self.description["frame_length"], self.description["channels"]

    @property
    def clock_mhz(self) -> float:
        """What the accelerator's clock is set to."""
        return Clocks.fclk0_mhz

    def names(self, labels: Any) -> list[str]:
        """Class names of labels."""
        return [self.classes[label] for label in np.asarray(labels).reshape(-1)]

    def classify(self, frames: Any) -> Any:
        """Labels of frames, in the shape of `frames` without its last two axes.

        frames: (n, 1024, 2) or (1024, 2); float I/Q, or integer codes of it (see `quantize`).
        """
        rows = self._rows(frames)
        codes = self._quantized if rows.dtype.kind == "f" else self._checked
        labels = self._stream(len(rows), lambda part: codes(rows[part], part.start))
        return labels.reshape(np.shape(frames)[:-2])[()]

    def execute(self, codes: Any) -> np.ndarray:
        """Labels (n,) as the bytes that come back, for integer codes only."""
        rows = self._rows(codes)
        if rows.dtype.kind == "f":
            raise TypeError(f"codes are integers, not {rows.dtype}: classify() takes float I/Q")
        return self._stream(len(rows), lambda part: self._checked(rows[part], part.start))

    def quantize(self, frames: Any) -> np.ndarray:
        """Codes of float I/Q, in the shape of `frames`, as the network itself makes them."""
        rows = self._rows(frames)
        if rows.dtype.kind != "f":
            raise TypeError(f"frames are {rows.dtype}: only float I/Q is quantized")
        return self._quantized(rows, 0).reshape(np.shape(frames))

    def counters(self) -> Counts:
        """Frames taken, labels given and faults seen since the last reset."""
        return {x: self._registers.read(FIRST_COUNTER + 4 * i) for i, x in enumerate(COUNTERS)}

    def cycles(self) -> int:
        """Clock cycles since the last reset in which a frame was inside."""
        low = self._registers.read(CYCLES_LO)  # latches the other half
        return low | self._registers.read(CYCLES_HI) << 32

    def throughput_test(self, frames: int = 1024) -> dict[str, float]:
        """Frames per second: from codes to labels, and of the accelerator alone."""
        low, high = self.description["low"], self.description["high"]
        codes = np.random.RandomState(1).randint(low, high + 1, (frames, *self.frame_shape))
        _, latency = self._timed(codes[:1])
        seconds, cycles = self._timed(codes)
        interval = (cycles - latency) / (frames - 1) if frames > 1 else cycles
        return {
            "frames": frames,
            "batch": self.batch,
            "seconds": seconds,
            "frames_per_second": frames / seconds,
            "clock_mhz": self.clock_mhz,
            "latency_cycles": latency,
            "interval_cycles": interval,
            "accelerator_frames_per_second": self.clock_mhz * 1e6 / interval,
        }

    def recover(self) -> None:
        """Reset DMA and accelerator, whatever they are doing; the next call starts anew."""
        # Twice: beats that the DMA still sends while the accelerator leaves its reset go then.
        # Not by pynq's stop(): that waits for the transfer, which may be what hangs.
        for _ in range(2):
            self._dma.write(MM2S + DMA_CONTROL, RESET)  # of both channels
            self._registers.write(CONTROL, 1)
            until = time.monotonic() + RESET_SECONDS
            while self._dma.read(MM2S + DMA_CONTROL) & RESET or self._registers.read(CONTROL) & 1:
                if time.monotonic() > until:
                    raise TransferError("the device does not come out of its reset: load it anew")
        self._dma.sendchannel.start()
        self._dma.recvchannel.start()
        self._packet_frames, self._unfinished = 1, False

    def close(self) -> None:
        """Give the memory back; the object is of no use afterwards."""
        for name in ("_inputs", "_outputs"):  # some are freed by this, some as nothing holds them
            for buffer in self.__dict__.pop(name, ()):
                buffer.freebuffer()

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cell(self, name: str) -> Any:
        if name not in self.ip_dict:
            raise BitstreamError(f"the .hwh has no {name!r}, only {', '.join(self.ip_dict)}")
        return getattr(self, name)

    def _set_clock(self) -> None:
        """What the bitstream's timing was met for, whatever PYNQ took from the .hwh."""
        wanted = self.description["clock_mhz"]
        if abs(Clocks.fclk0_mhz - wanted) > 0.01 * wanted:
            Clocks.fclk0_mhz = wanted

    def _check_identity(self) -> None:
        read, expected = self._registers.read, self.description
        for what, found, wanted in (
            ("magic number", read(MAGIC), IS_AMCFLOW),
            ("register map", read(VERSION), REGISTER_MAP),
            ("hash", "".join(f"{read(HASH + 4 * i):08x}" for i in range(8)), expected["hash"]),
            ("frame length in words", read(FRAME_BEATS), self._beats),
            ("number of classes", read(CLASSES), len(expected["classes"])),
        ):
            if found != wanted:
                why = f"its {what} is {found}, not {wanted}"
                raise BitstreamError(f"this is not the accelerator of accelerator.json: {why}")

    def _allocate(self, batch: int) -> None:
        """Two buffers each way, of as many frames as one DMA transfer may have."""
        frame_bytes = self._beats * self.description["beat_bytes"]
        most = self._dma.buffer_max_size // frame_bytes
        if batch < 1 or most < 1:
            raise ValueError(f"a batch of {batch}: the DMA takes 1 to {most} frames at once")
        self.batch, label = min(batch, most), np.dtype(f"<u{self.description['label_bytes']}")
        shape = (self.batch, frame_bytes)
        self._inputs = [allocate(shape, np.uint8, cacheable=True) for _ in range(2)]
        self._outputs = [allocate((self.batch,), label, cacheable=True) for _ in range(2)]

    # --- frames in, labels out -------------------------------------------------------------------

    def _stream(self, count: int, codes: Callable[[slice], np.ndarray]) -> np.ndarray:
        """Labels of `count` frames; `codes(part)` makes the codes of a slice of them.

        While the accelerator works on one batch, the next is quantized and packed.  It is sent as
        soon as all of the one before is inside, the last labels of which are still to come.
        """
        if "_inputs" not in self.__dict__:
            raise RuntimeError("this accelerator was closed")
        parts = [slice(i, min(i + self.batch, count)) for i in range(0, count, self.batch)]
        labels = np.empty(count, self._outputs[0].dtype)
        if not parts:
            return labels
        with self._recovered_on_failure():
            before = self.counters()
            self._pack(0, codes(parts[0]))
            self._receive(0, parts[0])
            self._send(0, parts[0])
            for k, part in enumerate(parts):
                following = parts[k + 1] if part.stop < count else None
                if following:
                    self._pack(k + 1, codes(following))
                    self._wait(MM2S, part, before)
                    self._send(k + 1, following)
                self._wait(S2MM, part, before)
                received = self._dma.read(S2MM + DMA_LENGTH)
                if following:
                    self._receive(k + 1, following)
                labels[part] = self._unpacked(k, part, received, before)
            self._check_counters(count, before)
        return labels

    def _pack(self, k: int, codes: np.ndarray) -> None:
        """Codes (n, positions, channels) into an input buffer: some positions are a stream word."""
        bits, size = self.description["bits"], self.description["beat_bytes"]
        word = np.dtype(f"<u{1 << (size - 1).bit_length()}")
        beats = codes.reshape(len(codes), self._beats, -1)
        words = np.zeros(beats.shape[:2], word)
        for element in reversed(range(beats.shape[2])):
            words = words << bits | beats[..., element].astype(word) & word.type((1 << bits) - 1)
        packed = words.view(np.uint8).reshape(*words.shape, word.itemsize)[..., :size]
        self._inputs[k % 2][: len(codes)] = packed.reshape(len(codes), -1)

    def _send(self, k: int, part: slice) -> None:
        count = part.stop - part.start
        if count != self._packet_frames:  # the packet before is inside: it has taken its own count
            self._registers.write(PACKET_FRAMES, count)
            self._packet_frames = count
        self._dma.sendchannel.transfer(self._inputs[k % 2][:count])

    def _receive(self, k: int, part: slice) -> None:
        self._dma.recvchannel.transfer(self._outputs[k % 2][: part.stop - part.start])

    def _wait(self, channel: int, part: slice, before: Counts) -> None:
        """Until a channel is done, but not longer than `timeout_s` without anything moving."""
        give_up, seen = 0.0, None
        while True:
            state = self._state(channel)
            if state == "done":
                return
            if state != "running":
                raise self._failure(f"the DMA ended: {state}", part, before)
            now = time.monotonic()
            if now < give_up:
                continue
            moved = self.counters()
            if moved == seen:
                raise self._failure(f"nothing moved for {self.timeout_s:g} s", part, before)
            give_up, seen = now + self.timeout_s, moved

    def _state(self, channel: int) -> str:
        status = self._dma.read(channel + DMA_STATUS)
        return next((state for bit, state in STATES.items() if status & bit), "running")

    def _unpacked(self, k: int, part: slice, received: int, before: Counts) -> np.ndarray:
        buffer = self._outputs[k % 2][: part.stop - part.start]
        if received != buffer.nbytes:
            raise self._failure(f"{received} of {buffer.nbytes} bytes of labels came", part, before)
        buffer.invalidate()
        labels = np.array(buffer)
        if labels.max() >= len(self.classes):
            what = f"frame {part.start + labels.argmax()} got the label {labels.max()}, of no class"
            raise self._failure(what, part, before)
        return labels

    def _check_counters(self, count: int, before: Counts) -> None:
        """Every frame went in and came out, and none was cut."""
        counted = self._since(before)
        expected = {**dict.fromkeys(counted, 0), "frames in": count, "frames out": count}
        if counted != expected:
            raise self._failure("the accelerator counted other frames", slice(0, count), before)

    # --- faults ----------------------------------------------------------------------------------

    @contextmanager
    def _recovered_on_failure(self) -> Iterator[None]:
        """After whatever ends a call early, Ctrl-C too, the device is ready for the next."""
        if self._unfinished:  # a second Ctrl-C came while the device was being reset
            self.recover()
        self._unfinished = True
        try:
            yield
        except BaseException:
            self.recover()
            raise
        self._unfinished = False

    def _since(self, before: Counts) -> Counts:
        return {name: (now - before[name]) % 2**32 for name, now in self.counters().items()}

    def _failure(self, what: str, part: slice, before: Counts) -> TransferError:
        """An error that says where data are.  Call before the reset, which clears all this."""
        counted, read = self._since(before), self._registers.read
        taken, given = counted["frames in"], counted["frames out"]
        sent, received = taken * self._inputs[0][0].nbytes, given * self._outputs[0].itemsize
        inside = "frames" if read(STATUS) & 1 else "no frame"
        packet = ", in the middle of a packet" if read(STATUS) & 2 else ""
        lines = [
            f"{what} (frames {part.start} to {part.stop - 1})",
            f"into the accelerator, MM2S {self._state(MM2S)}: {taken} frames, {sent} bytes",
            f"out of it, S2MM {self._state(S2MM)}: {given} labels, {received} bytes",
            "counted: " + ", ".join(f"{number} {name}" for name, number in counted.items()),
            f"inside: {inside}{packet}",
        ]
        if counted["short frames"] or counted["long frames"]:
            number, beats = read(BAD_FRAME), read(BAD_BEATS)
            lines.append(f"dropped: frame {number} of its packet, which had {beats} beats")
        return TransferError("\n  ".join([*lines, "the device has been reset for the next call"]))

    def _timed(self, codes: np.ndarray) -> tuple[float, int]:
        """Seconds and cycles of the accelerator for some frames."""
        cycles, started = self.cycles(), time.perf_counter()
        self.execute(codes)
        return time.perf_counter() - started, self.cycles() - cycles

    def _rows(self, frames: Any) -> np.ndarray:
        """Frames as (n, positions, channels), once their type and shape are known to be right."""
        frames, shape = np.asarray(frames), self.frame_shape
        if frames.dtype.kind not in "fiu":
            raise TypeError(f"frames are {frames.dtype}, not float I and Q or integer codes")
        if frames.ndim not in (2, 3) or frames.shape[-2:] != shape:
            wanted = "(n, {0}, {1}) or ({0}, {1})".format(*shape)
            raise ValueError(f"frames have the shape {frames.shape}, not {wanted}")
        return frames.reshape(-1, *shape)

    def _checked(self, codes: np.ndarray, first: int) -> np.ndarray:
        """Integer codes, refused where out of range; `first`: number of the first frame."""
        low, high = self.description["low"], self.description["high"]
        _refuse((codes < low) | (codes > high), codes, first, f"is no code: {low} to {high}")
        return codes

    def _quantized(self, frames: np.ndarray, first: int) -> np.ndarray:
        """As Brevitas quantizes: the float32 quotient, rounded half to even, clipped."""
        _refuse(~np.isfinite(frames), frames, first, "cannot be quantized")
        step = self.description["step"]
        with np.errstate(over="ignore"):  # what is beyond float32 is clipped like the rest
            values = frames.astype(np.float32)
            # numpy's float32 division is not exactly rounded on 32-bit ARM.  A product with a power
            # of two is exact, and a float64 quotient rounds to the exactly rounded float32 one.
            if math.frexp(step)[0] == 0.5:
                values *= np.float32(1 / step)
            else:
                values = (values.astype(np.float64) / step).astype(np.float32)
        np.rint(values, out=values)
        np.clip(values, self.description["low"], self.description["high"], out=values)
        return values.astype(np.int16)


def _refuse(wrong: np.ndarray, values: np.ndarray, first: int, why: str) -> None:
    """Raise ValueError for the first value that is wrong, if there is one."""
    if wrong.any():
        frame, position, channel = (int(i) for i in np.argwhere(wrong)[0])
        place = f"frame {first + frame}, position {position}, channel {channel}"
        raise ValueError(f"{place}: {values[frame, position, channel]} {why}")


def read_description(bitstream: Path) -> dict[str, Any]:
    """accelerator.json beside the bitstream, once that is known to be the one it describes."""
    file = bitstream.with_suffix(".json")
    for needed in (bitstream, bitstream.with_suffix(".hwh"), file):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is not there: copy the package whole")
    description = json.loads(file.read_text())
    if description.get("format") != FORMAT:
        raise BitstreamError(f"{file} is not of the format {FORMAT}, which this driver reads")
    digest = hashlib.sha256(bitstream.read_bytes()).hexdigest()
    if digest != description["bitstream_sha256"]:
        why = f"its SHA-256 is {digest}, not {description['bitstream_sha256']}"
        raise BitstreamError(f"{bitstream} is not that of {file.name} and was not loaded: {why}")
    return description
