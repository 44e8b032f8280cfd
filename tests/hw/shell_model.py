"""What the AXI shell does with packets, in Python: the labels and counters to expect."""

from collections.abc import Sequence
from dataclasses import dataclass, field

DROPPED = 255
"""The label of a frame that was dropped."""


@dataclass
class Outcome:
    """labels: of each packet; the rest: the counters of the same name."""

    labels: list[list[int]] = field(default_factory=list)
    frames_in: int = 0
    short_frames: int = 0
    long_frames: int = 0
    short_packets: int = 0
    bad_beats: int = 0
    bad_frame: int = 0


def checksum(frame: Sequence[int]) -> int:
    """The label that `checksum_core.sv` gives a frame."""
    value = 0
    for beat in frame:
        value = (value * 7 + beat + 1) % 251
    return value


def outcome(packets: Sequence[bytes], packet_frames: int, beats: int) -> Outcome:
    """What comes of packets, where every one should have `packet_frames` frames of `beats`."""
    result = Outcome()
    for packet in packets:
        frames = [packet[i : i + beats] for i in range(0, len(packet), beats)]
        bad: bytes = b""
        if len(packet) > packet_frames * beats:
            frames, bad = frames[: packet_frames - 1], packet[(packet_frames - 1) * beats :]
            result.long_frames += 1
        elif len(packet) % beats:
            bad = frames.pop()
            result.short_frames += 1
        elif len(frames) < packet_frames:
            result.short_packets += 1
        if bad:
            result.bad_beats, result.bad_frame = len(bad), len(frames)
        result.frames_in += len(frames)
        result.labels.append([checksum(frame) for frame in frames] + [DROPPED] * bool(bad))
    return result
