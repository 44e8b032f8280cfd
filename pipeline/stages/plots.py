"""Plot what a model's run came to: accuracy, confusion, pruning, cost."""

from pathlib import Path

from pipeline.core.atomic import write_bytes
from pipeline.core.folders import put_in_place, remove_leftovers, temporary
from pipeline.core.paths import shown
from pipeline.core.progress import say
from pipeline.core.stage import Command, CommandContext
from pipeline.network.shipped import METRICS
from pipeline.report.page import INDEX, plot_files
from pipeline.report.results import read_run, recorded_runs


def run(context: CommandContext) -> None:
    """Write `build/NAME/plots`: of what is newest of pruned, trained and shipped, which it says."""
    model = context.model_dir.resolve()
    source = next(iter(context.inputs.values()), context.model_dir) / METRICS
    this = read_run(model.name, source)
    recorded, skipped = recorded_runs(model.parent)
    for line in skipped:
        say(line)
    target = context.build / "plots"
    replace_folder(target, plot_files(this, recorded))
    say(f"plots of {shown(source)} -> {shown(target / INDEX)}")


def replace_folder(target: Path, files: dict[str, bytes]) -> None:
    """Put a folder of these files in place of `target`, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target)
    with temporary(target, "out") as out:
        for name, content in files.items():
            write_bytes(out / name, content)
        put_in_place(out, target)


COMMAND = Command(
    name="plots",
    summary="accuracy, confusion, pruning and cost of one run as plots on a page",
    needs=(),
    uses=("prune", "train"),
    run=run,
)
