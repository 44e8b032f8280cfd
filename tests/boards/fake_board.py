"""A double of the emulated board's library: the shell as its contract has it, without a simulator.

A beat goes in each cycle; a frame's label is `checksum` of its bytes, at once.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

CREDITS = 16
CONTROL, STATUS, PACKET_FRAMES, HASH, FRAMES_IN, FRAMES_OUT = 0x08, 0x0C, 0x18, 0x20, 0x40, 0x44
SHORT_FRAMES, LONG_FRAMES, SHORT_PACKETS, BAD_BEATS, BAD_FRAME = 0x48, 0x4C, 0x50, 0x54, 0x58
CYCLES = 0x60
COUNTERS = (FRAMES_IN, FRAMES_OUT, SHORT_FRAMES, LONG_FRAMES, SHORT_PACKETS, CYCLES)


def checksum(frame: np.ndarray, classes: int) -> int:
    """The label of a frame's bytes: every one counts, and its place."""
    weights = np.arange(1, frame.size + 1)
    return int((frame.astype(np.int64) * weights).sum() % classes)


class FakeBoard:
    """Has the methods of `pynq.board.Board`.

    description: as in accelerator.json.
    """

    def __init__(self, description: Mapping[str, Any]) -> None:
        self.description = description
        self.beat_bytes = description["beat_bytes"]
        self.label_bytes = description["label_bytes"]
        self.frame_beats = description["frame_length"] // description["beat_positions"]
        self.resets = 0
        self.accesses: list[tuple[int, int]] = []
        self._source = self._sink = np.empty(0, np.uint8)
        self._sent = self._received = 0
        self._sending = self._receiving = self._overflow = False
        self._reset()

    def _reset(self) -> None:
        self.registers = {
            0x00: 0x414D4346,
            0x04: 1,
            0x10: self.frame_beats,
            0x14: len(self.description["classes"]),
            PACKET_FRAMES: 1,
            0x1C: CREDITS,
            **dict.fromkeys((*COUNTERS, BAD_BEATS, BAD_FRAME), 0),
        }
        digest = self.description["hash"]
        self.registers.update({HASH + 4 * i: int(digest[8 * i :][:8], 16) for i in range(8)})
        self._frame: list[np.ndarray] = []
        self._frame_number, self._packet_frames, self._too_long = 0, 0, 0
        self._labels: deque[tuple[int, bool]] = deque()

    def delete(self) -> None:
        """There is nothing to give back."""

    def read(self, offset: int) -> int:
        if offset == STATUS:
            inside, in_packet = bool(self._labels), bool(self._frame or self._frame_number)
            return inside | in_packet << 1
        return self.registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self.accesses.append((offset, value))
        if offset == CONTROL and value & 1:
            self.resets += 1
            self._reset()
        elif offset == PACKET_FRAMES and value:
            self.registers[offset] = value

    def send(self, data: np.ndarray) -> None:
        self._source, self._sent, self._sending = data, 0, True

    def receive(self, data: np.ndarray) -> None:
        self._sink, self._received, self._receiving = data, 0, True
        self._overflow = False

    def run(self, cycles: int) -> int:
        for cycle in range(cycles):
            if not self._sending and not self._receiving:
                return cycle
            self._give_label()
            if self._sending and (self._frame or len(self._labels) < CREDITS):
                self._take_beat()
        return cycles

    def sent(self) -> int:
        return self._sent

    def received(self) -> int:
        return self._received

    def send_done(self) -> bool:
        return not self._sending

    def receive_done(self) -> bool:
        return not self._receiving

    def overflow(self) -> bool:
        return self._overflow

    def abort(self) -> None:
        self._sending = self._receiving = False

    def _take_beat(self) -> None:
        beat = self._source[self._sent : self._sent + self.beat_bytes]
        self._sent += self.beat_bytes
        last = self._sent >= self._source.size
        self._sending = not last
        self.registers[CYCLES] += 1
        if self._too_long:
            self._too_long += 1
            if last:
                self._end_long_frame()
            return
        if not self._frame and self._frame_number == 0:
            self._packet_frames = self.registers[PACKET_FRAMES]
        self._frame.append(beat)
        full = len(self._frame) == self.frame_beats
        ends = self._frame_number + 1 == self._packet_frames
        if full and ends and not last:
            self._too_long = len(self._frame)
        elif full:
            self._end_frame(last, ends)
        elif last:
            self._count_bad(SHORT_FRAMES, len(self._frame))
            self._drop()

    def _end_frame(self, last: bool, ends: bool) -> None:
        frame = np.concatenate(self._frame)
        self._labels.append((checksum(frame, len(self.description["classes"])), last))
        self.registers[FRAMES_IN] += 1
        self.registers[SHORT_PACKETS] += last and not ends
        self._frame, self._frame_number = [], 0 if last else self._frame_number + 1

    def _end_long_frame(self) -> None:
        self._count_bad(LONG_FRAMES, self._too_long)
        self._drop()

    def _count_bad(self, counter: int, beats: int) -> None:
        self.registers[counter] += 1
        self.registers[BAD_BEATS], self.registers[BAD_FRAME] = beats, self._frame_number

    def _drop(self) -> None:
        self._labels.append((self.description["no_result"], True))
        self._frame, self._frame_number, self._too_long = [], 0, 0

    def _give_label(self) -> None:
        if not (self._labels and self._receiving):
            return
        label, last = self._labels.popleft()
        self.registers[FRAMES_OUT] += label != self.description["no_result"]
        place = slice(self._received, self._received + self.label_bytes)
        word = np.frombuffer(label.to_bytes(self.label_bytes, "little"), np.uint8)
        self._sink[place] = word
        self._received += self.label_bytes
        if last or self._received >= self._sink.size:
            self._receiving, self._overflow = False, not last
