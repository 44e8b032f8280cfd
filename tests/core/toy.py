"""Two toy stages, `dig` and `double`, and a program that runs them and can be made to wait.

A file `hang` in the model's folder makes `dig` write down what it found in its work folder, and
then wait for ever. It is not part of any key.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.core.config import load_config
from pipeline.core.runner import Build, run_stage
from pipeline.core.stage import Stage, StageContext


def dig(context: StageContext) -> None:
    """Write the seed to `number.txt`, after some resumable work."""
    progress = context.work / "progress.txt"
    found = progress.read_text() if progress.exists() else "nothing"
    progress.write_text("half of it")
    if (context.model_dir / "hang").exists():
        (context.out / "number.txt").write_text("half a num")
        (context.scratch / "scrap").write_text("x")
        (context.model_dir / "hanging").write_text("")
        time.sleep(600)
    (context.out / "number.txt").write_text(str(context.config.verify.seed // 10))
    (context.model_dir / "resumed.txt").write_text(found)


def double(context: StageContext) -> None:
    """Write twice the number to a file in a folder."""
    number = int((context.inputs["dig"] / "number.txt").read_text())
    (context.out / "results").mkdir()
    (context.out / "results" / "double.txt").write_text(str(2 * number))


DIG = Stage("dig", "toy", ("verify",), (), ("number.txt",), dig)
DOUBLE = Stage("double", "toy", ("network",), ("dig",), ("results/",), double)


def make_build(root: Path, *overrides: str, **changed: Stage) -> Build:
    """A build of the toy stages below `root`, some of them replaced."""
    model_dir = root / "models" / "toy"
    model_dir.mkdir(parents=True, exist_ok=True)
    (model_dir / "model.toml").touch()
    stages: Mapping[str, Stage] = {"dig": DIG, "double": DOUBLE, **changed}
    config = load_config(model_dir, overrides)
    return Build(config, model_dir, stages.__getitem__, "toy command", root)


def changed_stage(stage: Stage, **changes: object) -> Stage:
    """A copy of a stage with other fields."""
    return replace(stage, **changes)


if __name__ == "__main__":
    print(run_stage("double", make_build(Path(sys.argv[1]))), flush=True)
