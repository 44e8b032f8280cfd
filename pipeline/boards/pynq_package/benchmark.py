"""How fast the accelerator is: with everything around it, and alone.

    python3 benchmark.py

Prints a table, and writes the same to benchmark.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Sequence

import numpy as np
from driver import BESIDE, Accelerator

RESULT = Path("benchmark.json")
SINGLE_FRAMES = 20
"""How often a single frame is timed; the median counts."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bitstream", type=Path, default=BESIDE, help="the .bit to load")
    parser.add_argument("--frames", type=int, default=1024, help="frames that are timed")
    parser.add_argument("--batch", type=int, default=64, help="frames of a DMA transfer")
    parser.add_argument("--json", type=Path, default=RESULT, help="the file to write")
    options = parser.parse_args(arguments)
    with Accelerator(options.bitstream, batch=options.batch) as accelerator:
        result = measure(accelerator, options.frames)
    options.json.write_text(json.dumps(result, indent=1) + "\n")
    for line in table(result):
        print(line)
    print(f"written to {options.json}")
    return 0


def measure(accelerator: Accelerator, frames: int) -> dict[str, Any]:
    """Rates in frames per second, times of a single frame in microseconds, and cycles."""
    result: dict[str, Any] = {"model": accelerator.description["model"]}
    result.update(accelerator.throughput_test(frames))
    signals = np.random.RandomState(2).standard_normal((frames, *accelerator.frame_shape))
    signals = signals.astype(np.float32)
    started = time.perf_counter()
    accelerator.classify(signals)
    result["float_frames_per_second"] = frames / (time.perf_counter() - started)
    result["single_frame_us"] = _single_frame(accelerator, signals[0])
    result["latency_us"] = result["latency_cycles"] / accelerator.clock_mhz
    result["predicted_interval_cycles"] = accelerator.description["predicted_interval"]
    return result


def _single_frame(accelerator: Accelerator, frame: np.ndarray) -> float:
    """Median time from a call to its result, in microseconds."""
    seconds = []
    for _ in range(SINGLE_FRAMES):
        started = time.perf_counter()
        accelerator.classify(frame)
        seconds.append(time.perf_counter() - started)
    return 1e6 * sorted(seconds)[len(seconds) // 2]


def table(result: dict[str, Any]) -> list[str]:
    """The result as lines of text."""
    clock, frames, batch = result["clock_mhz"], result["frames"], result["batch"]
    rows: list[tuple[str, str]] = [
        ("float I/Q to labels", f"{result['float_frames_per_second']:,.0f} frames/s"),
        ("codes to labels", f"{result['frames_per_second']:,.0f} frames/s"),
        ("accelerator alone", f"{result['accelerator_frames_per_second']:,.0f} frames/s"),
        ("cycles between frames", f"{result['interval_cycles']:,.0f}"),
        ("  predicted", f"{result['predicted_interval_cycles']:,.0f}"),
        ("one frame, call to label", f"{result['single_frame_us']:,.0f} us"),
        ("  in the accelerator", f"{result['latency_us']:,.0f} us"),
        ("  in cycles", f"{result['latency_cycles']:,.0f}"),
    ]
    head = f"{result['model']}: {frames} frames, {batch} a transfer, clock {clock:g} MHz"
    return [head, *(f"  {name:<26}{value:>20}" for name, value in rows)]


if __name__ == "__main__":
    sys.exit(main())
