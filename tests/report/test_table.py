"""The challenge's table: rows of recorded runs, of published ones, and of those not yet run."""

import json
import subprocess
from functools import partial
from pathlib import Path

import pytest

from pipeline.core import cli
from pipeline.core.config import load_config
from pipeline.core.errors import UserError
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.runner import Build
from pipeline.network.cost import BASELINE_BIT_OPERATIONS, BASELINE_WEIGHT_BITS, Cost
from pipeline.network.record import cost_record
from pipeline.report.published import BAR, PUBLISHED, WEIGHTS
from pipeline.report.results import nominal_ratio, recorded_runs, result_of
from pipeline.report.table import (
    COLUMNS,
    GRID,
    command_for,
    missing_cells,
    model_name,
    table_rows,
)
from tests.report.recorded import cost, metrics, pruned, record


def rows_by_name(models: Path) -> dict[str, dict[str, object]]:
    runs, _ = recorded_runs(models)
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in table_rows(runs)]
    return {str(row["run"]): row for row in rows}


def test_a_row_has_what_the_record_says(tmp_path):
    record(tmp_path, "vgg10_w4a4_fmp", pruned())
    row = rows_by_name(tmp_path)["vgg10_w4a4_fmp"]
    assert row == {
        "bits": 4,
        "pruning": "fmp",
        "run": "vgg10_w4a4_fmp",
        "frames": "synthetic",
        "eta": 1.389,
        "true ratio": 1.39,
        "nonzeros": 720,
        "bit operations": 115200,
        "weight bits": 2880,
        "cost": 0.36,
        "validation": "60.00 %",
        "test": "59.00 %",
    }


def test_a_row_changes_with_the_record(tmp_path):
    changed = pruned(bits=5, method="imp", test=0.5)
    changed["data"]["synthetic"] = False
    changed["cost"] = cost(5, {"conv0": 1, "dense0": 4})
    record(tmp_path, "mine", changed)
    row = rows_by_name(tmp_path)["mine"]
    assert (row["bits"], row["pruning"], row["frames"]) == (5, "imp", "a user's file")
    assert (row["nonzeros"], row["weight bits"], row["true ratio"]) == (5, 25, 200.0)
    assert row["test"] == "50.00 %"


def test_the_record_of_a_cost_can_be_read():
    """The sample metrics are like those that training writes."""
    written = cost_record(Cost(900, 80, {"conv0": 20}, {"conv0": 25}))
    result = result_of({**metrics(), "cost": written})
    assert (result.bit_operations, result.weight_bits, result.nonzeros) == (900, 80, 20)
    assert result.true_ratio == 1.25
    assert set(written) == set(metrics()["cost"])


def test_layers_that_shrank_count_among_all_weights():
    shrunk = pruned()
    shrunk["cost"]["weights"] = {"conv0": 300, "dense0": 450}
    assert result_of(shrunk).true_ratio == 1.39


def test_eta_is_that_of_the_last_round_that_was_met():
    rounds = pruned()["pruning"]["rounds"]
    assert nominal_ratio(rounds) == 1.389
    assert nominal_ratio(rounds[:2]) == 1.25
    assert nominal_ratio(rounds[1:2]) == 1.0
    assert result_of(metrics()).eta == 1.0


def test_every_cell_has_a_row_and_the_published_ones_follow(tmp_path):
    record(tmp_path, "vgg10_w8a8", metrics())
    record(tmp_path, "odd", metrics(bits=3))
    runs, skipped = recorded_runs(tmp_path)
    rows = table_rows(runs)
    assert skipped == []
    ours = [row[:3] for row in rows if row[2] != "published"]
    names = ["vgg10_w8a8", *["not yet run"] * 14]
    assert ours == [(*cell, name) for cell, name in zip(GRID, names, strict=True)] + [
        (3, "none", "odd")
    ]
    assert sum(row[2] == "published" for row in rows) == len(PUBLISHED)
    assert [row[2] for row in rows[:2]] == ["vgg10_w8a8", "published"]
    assert missing_cells(runs) == list(GRID[1:])


def test_published_rows_agree_with_the_cost_model():
    """Costs follow from the other columns, but for digits that were cut off in print."""
    for row in PUBLISHED:
        exact = Cost(row.bit_operations, row.weight_bits, {}, {}).normalised
        assert row.cost == pytest.approx(exact, abs=1e-4), row
        assert row.nonzeros * row.bits == row.weight_bits
        assert (row.test == BAR) == row.at_least
    baseline = PUBLISHED[0]
    assert (baseline.bit_operations, baseline.weight_bits) == (
        BASELINE_BIT_OPERATIONS,
        BASELINE_WEIGHT_BITS,
    )
    by_cell = {(row.bits, row.method): row for row in PUBLISHED}
    assert by_cell[4, "fmp"].true_ratio == 9.55
    assert by_cell[4, "fmp"].eta == 813


def test_all_weights_of_the_published_network():
    shapes = [(64, 2, 3), *[(64, 64, 3)] * 6, (128, 512, 1), (128, 128, 1), (24, 128, 1)]
    assert sum(a * b * c for a, b, c in shapes) == WEIGHTS


def test_the_command_of_a_missing_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = tmp_path / "models"
    none, fmp = (6, "none"), (6, "fmp")
    assert command_for(none, models, [none]) == "make data train ship MODEL=models/vgg10_w6a6"
    prune = "make data prune ship MODEL=models/vgg10_w6a6_fmp"
    assert command_for(fmp, models, [fmp]) == prune
    first = "make data train ship MODEL=models/vgg10_w6a6"
    assert command_for(fmp, models, [none, fmp]) == f"{first} && {prune}"
    spaced = command_for(none, tmp_path / "a b", [none])
    assert spaced == "make data train ship 'MODEL=a b/vgg10_w6a6'"


@pytest.mark.parametrize("cell", GRID)
def test_the_command_of_every_row_has_its_model(cell):
    """Each has a configuration of its bits and its method; pruning starts from the unpruned."""
    folder = PROJECT_ROOT / "models" / model_name(cell)
    bits, method = cell
    config = load_config(folder)
    network = config.network
    assert {network.input_bits, network.weight_bits, network.activation_bits} == {bits}
    assert config.prune.method == method
    start = folder.parent / model_name((bits, "none")) / "weights.pt"
    assert config.prune.start == ("" if method == "none" else str(start))
    assert network == load_config(start.parent).network
    assert config.data == load_config(start.parent).data


def test_make_knows_the_targets_of_the_commands():
    command = command_for((7, "imp"), PROJECT_ROOT / "models", GRID)
    for one in command.split(" && "):
        words = ["make", "--dry-run", *one.split()[1:]]
        answer = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
        assert "-m pipeline ship --model" in answer.stdout


def test_another_format_is_skipped_and_says_so(tmp_path):
    old = metrics()
    del old["cost"]
    record(tmp_path, "old", old)
    record(tmp_path, "new", metrics())
    runs, skipped = recorded_runs(tmp_path)
    assert [run.name for run in runs] == ["new"]
    assert skipped == [f"skipped {tmp_path}/old/metrics.json: another format, without cost"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not a JSON file"),
        ("[1]", "no JSON object"),
        (json.dumps({**metrics(), "cost": {}}), "KeyError: 'nonzeros'"),
        (json.dumps({**metrics(), "cost": 3}), "TypeError"),
        (json.dumps({**metrics(), "data": []}), "AttributeError"),
        (json.dumps({**metrics(), "cost": cost(4, {"conv0": 0})}), "ZeroDivisionError"),
    ],
)
def test_a_broken_record_names_its_file(tmp_path, text, what):
    file = record(tmp_path, "broken", metrics())
    file.write_text(text)
    with pytest.raises(UserError, match=what) as caught:
        recorded_runs(tmp_path)
    assert caught.value.where == str(file)


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """A project with one model, in the current folder; commands build there too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    monkeypatch.setattr(cli, "Build", partial(Build, root=tmp_path))
    record(tmp_path / "models", "vgg10_w4a4", metrics(bits=4))
    return tmp_path / "models"


def test_command_prints_the_table(models, capsys):
    assert cli.main(["table", "--model", str(models / "vgg10_w4a4")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == " ".join(COLUMNS).split()
    runs = [line.split() for line in lines if line.startswith("   4  none")]
    assert [row[2] for row in runs] == ["vgg10_w4a4"]
    assert runs[0][4:9] == ["1", "1.02", "980", "156,800", "3,920"]
    assert runs[0][10:] == ["61.00", "%", "60.00", "%"]
    published = [line.split() for line in lines if line.startswith("   4  fmp")][1]
    assert published[2:5] == ["published", "RadioML", "2018.01A"]
    assert published[5:] == [
        "813",
        "9.55",
        "16,654",
        "24,601,600",
        "66,616",
        "0.0419",
        ">=",
        "56",
        "%",
    ]
    assert sum("not yet run:" in line for line in lines) == 14
    prune = "make data prune ship MODEL=models/vgg10_w4a4_imp"
    assert f"not yet run: 4 bits, imp   {prune}" in lines


def test_command_names_a_broken_record(models, capsys):
    (models / "vgg10_w4a4" / "metrics.json").write_text("nonsense")
    assert cli.main(["table", "--model", str(models / "vgg10_w4a4")]) == 2
    error = capsys.readouterr().err
    assert "where: models/vgg10_w4a4/metrics.json\n" in error
    assert "Traceback" not in error


def test_a_network_that_is_not_the_challenges_is_left_out(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = metrics(bits=4)
    small["network"]["filters"] = 12
    record(models, "tiny", small)
    assert cli.main(["table", "--model", str(models / "vgg10_w4a4")]) == 0
    shown = capsys.readouterr().out
    assert "skipped models/tiny/metrics.json: another network, filters = 12" in shown
    assert [line.split()[2] for line in shown.splitlines() if line.startswith("   4  none")] == [
        "vgg10_w4a4"
    ]
