"""Gives the golden frames to the accelerator: every label must be the model's.

    python3 validate.py

Exit code 0: all are equal; 1: some are not, or none came; 2: it could not be tried.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np
from driver import BESIDE, Accelerator, TransferError

GOLDEN = Path(__file__).resolve().parent / "golden.npz"
EXIT_EQUAL, EXIT_DIFFERENT, EXIT_USAGE = 0, 1, 2
SECONDS_BETWEEN_LINES = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    options = _options(arguments)
    try:
        with np.load(GOLDEN) as golden:
            frames, codes, labels = golden["frames"], golden["codes"], golden["labels"]
        count = len(codes) if options.frames is None else min(options.frames, len(codes))
        with Accelerator(options.bitstream, batch=options.batch) as accelerator:
            print(f"{options.bitstream} is loaded: {accelerator.description['model']}", flush=True)
            frames, codes, labels = frames[:count], codes[:count], labels[:count]
            return _validate(accelerator, frames, codes, labels)
    except TransferError as error:
        print(f"failed: {error}", file=sys.stderr)
        return EXIT_DIFFERENT
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bitstream", type=Path, default=BESIDE, help="the .bit to load")
    parser.add_argument("--frames", type=_positive, help="only so many of the golden frames")
    parser.add_argument("--batch", type=_positive, default=64, help="frames of a DMA transfer")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _validate(
    accelerator: Accelerator, frames: np.ndarray, codes: np.ndarray, labels: np.ndarray
) -> int:
    """Compare; `frames` are the first of `codes` as float I/Q, so that both ways in are tried."""
    wrong = np.argwhere(accelerator.quantize(frames) != codes[: len(frames)])
    if len(wrong):
        place, mine = tuple(wrong[0]), accelerator.quantize(frames)
        where = "frame {}, position {}, channel {}".format(*place)
        print(f"failed: {where}: {frames[place]} became the code {mine[place]}", end=" ")
        print(f"on this computer, and is {codes[place]} in the model")
        return EXIT_DIFFERENT
    started, found = time.monotonic(), np.empty_like(labels)
    found[: len(frames)] = accelerator.classify(frames)
    for part in _parts(len(frames), len(codes), 4 * accelerator.batch, started):
        found[part] = accelerator.classify(codes[part])
    seconds = time.monotonic() - started
    print(f"{len(codes)} frames in {seconds:.1f} s, {len(codes) / seconds:,.0f} frames/s")
    return _compare(accelerator.classes, found, labels)


def _parts(first: int, count: int, size: int, started: float) -> Iterator[slice]:
    """Slices of the frames from `first` on; a line says now and then how far they are."""
    told = started
    for start in range(first, count, size):
        yield slice(start, min(start + size, count))
        now, done = time.monotonic(), min(start + size, count)
        if now - told >= SECONDS_BETWEEN_LINES and done < count:
            told, rate = now, done / (now - started)
            left = (count - done) / rate
            print(f"{done}/{count} frames, {rate:,.0f} frames/s, {left:.0f} s left", flush=True)


def _compare(classes: Sequence[str], found: np.ndarray, labels: np.ndarray) -> int:
    wrong = np.flatnonzero(found != labels)
    if not len(wrong):
        print(f"passed: all {len(labels)} labels are those of the model")
        return EXIT_EQUAL
    first = wrong[0]
    mine, wanted = found[first], labels[first]
    print(f"failed: {len(wrong)} of {len(labels)} labels are not those of the model")
    print(f"first: frame {first}: expected {wanted} ({_name(classes, wanted)}),", end=" ")
    print(f"the accelerator says {mine} ({_name(classes, mine)})")
    return EXIT_DIFFERENT


def _name(classes: Sequence[str], label: int) -> str:
    return classes[label] if label < len(classes) else "no class"


if __name__ == "__main__":
    sys.exit(main())
