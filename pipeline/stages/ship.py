"""Copy trained weights and their metrics from the build into `models/NAME`."""

from pipeline.core.errors import UserError
from pipeline.core.paths import shown
from pipeline.core.progress import say
from pipeline.core.stage import Command, CommandContext
from pipeline.network.shipped import ship
from pipeline.network.source import newest


def run(context: CommandContext) -> None:
    """Ship what is newest of pruned and trained weights, and say which files were written."""
    if not context.inputs:
        raise UserError("there is nothing to ship yet", "build", "make train, or make prune")
    for path in ship(newest(context.config, context.inputs), context.model_dir):
        say(f"wrote {shown(path)}")


COMMAND = Command(
    name="ship",
    summary="copy pruned or trained weights and metrics from the build into models/NAME",
    needs=(),
    uses=("prune", "train"),
    run=run,
)
