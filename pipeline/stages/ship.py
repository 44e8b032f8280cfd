"""Copy trained weights and their metrics from the build into `models/NAME`."""

from pipeline.core.paths import shown
from pipeline.core.progress import say
from pipeline.core.stage import Command, CommandContext
from pipeline.network.shipped import ship


def run(context: CommandContext) -> None:
    """Ship, and say which files were written."""
    for path in ship(context.inputs["train"], context.model_dir):
        say(f"wrote {shown(path)}")


COMMAND = Command(
    name="ship",
    summary="copy trained weights and metrics from the build into models/NAME",
    needs=("train",),
    run=run,
)
