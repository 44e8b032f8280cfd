"""Print the challenge's table from the recorded runs, beside the published rows."""

from pipeline.core.progress import say
from pipeline.core.stage import Command, CommandContext
from pipeline.core.tables import print_table
from pipeline.report.results import recorded_runs
from pipeline.report.table import COLUMNS, command_for, missing_cells, table_rows

TITLE = "bits x pruning; published rows are on other frames than ours: compare costs, not accuracy"


def run(context: CommandContext) -> None:
    """Print a row for each recorded run, and a command for each row that has not been run.

    The models are those in the folder that holds the model named.
    """
    models = context.model_dir.resolve().parent
    runs, skipped = recorded_runs(models)
    print_table(TITLE, COLUMNS, table_rows(runs))
    missing = missing_cells(runs)
    lines = [
        f"not yet run: {bits} bits, {method:<4}  {command_for((bits, method), models, missing)}"
        for bits, method in missing
    ]
    for line in [*skipped, *lines]:
        say(line)


COMMAND = Command(
    name="table",
    summary="the challenge's table from all recorded runs, beside the published rows",
    needs=(),
    run=run,
)
