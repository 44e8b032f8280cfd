"""Copy trained weights and their metrics from the build into `models/NAME`, and certify them."""

from pipeline.core.errors import UserError
from pipeline.core.paths import shown
from pipeline.core.progress import say
from pipeline.core.stage import Command, CommandContext
from pipeline.network.frozen import freeze_network
from pipeline.network.shipped import WEIGHTS, ship
from pipeline.network.source import load_own_network, newest


def run(context: CommandContext) -> None:
    """Ship what is newest of pruned and trained weights, and say which files were written."""
    if not context.inputs:
        raise UserError("there is nothing to ship yet", "build", "make train, or make prune")
    source = newest(context.config, context.inputs)
    network = load_own_network(context.config, source / WEIGHTS)
    _, certificate = freeze_network(network, context.config.network.frame_length)
    for path in ship(source, context.model_dir, certificate.text()):
        say(f"wrote {shown(path)}")


COMMAND = Command(
    name="ship",
    summary="copy pruned or trained weights from the build into models/NAME, with a certificate",
    needs=(),
    uses=("prune", "train"),
    run=run,
)
