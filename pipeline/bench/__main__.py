"""`python -m pipeline.bench`: run the benchmarks, print their tables, write build/bench/*.json."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.bench import training
from pipeline.core.atomic import write_json
from pipeline.core.cli import guarded
from pipeline.core.config import Network
from pipeline.core.paths import PROJECT_ROOT, shown
from pipeline.core.progress import say
from pipeline.core.quiet import quiet_libraries
from pipeline.core.tables import print_table


def main(words: Sequence[str]) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.bench", description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="of each measurement (%(default)s)")
    parser.add_argument("--steps", type=int, default=4, help="in each turn (default: %(default)s)")
    options = parser.parse_args(words)
    quiet_libraries()
    effort = training.Effort(max(1, options.turns), max(1, options.steps))
    return guarded(lambda: bench(effort, PROJECT_ROOT / "build" / "bench"), debug=False)


def bench(effort: training.Effort, out: Path) -> None:
    """Measure, print and note the training benchmark."""
    with tempfile.TemporaryDirectory() as scratch:
        result = training.measure(Network(), effort, Path(scratch))
    columns = ("frames per second", "ours", "stock Brevitas", "ratio")
    print_table(
        f"training, {result['threads']} threads, {result['cpu']}", columns, training.rows(result)
    )
    out.mkdir(parents=True, exist_ok=True)
    file = out / "training.json"
    write_json(file, result)
    say(f"wrote {shown(file)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
