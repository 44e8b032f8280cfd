"""Figures hold the numbers of the metrics; `plots` writes them, whole or not at all."""

import re
from base64 import b64decode
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from pipeline.core import cli
from pipeline.core.runner import Build
from pipeline.report import plots
from pipeline.report.page import pictures_of, plot_files
from pipeline.report.published import PUBLISHED
from pipeline.report.results import read_run
from pipeline.stages import plots as stage
from tests.report.recorded import metrics, pruned, record

IMAGES = {"accuracy_over_snr", "accuracy_per_class", "confusion_matrix", "cost_over_accuracy"}


def lines_of(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """x and y of every line by its label."""
    return {
        str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.get_lines()
    }


def test_accuracy_over_snr():
    figure = plots.accuracy_over_snr({"a": metrics(), "b": metrics(test=0.25)})
    lines = lines_of(figure.axes[0])
    assert list(lines) == ["a (60.0 % of all)", "b (25.0 % of all)", "chance (33.3 %)"]
    snrs, percent = lines["a (60.0 % of all)"]
    assert snrs == [-20, -2, 0, 10]
    assert percent == pytest.approx([5, 40, 50, 80])
    assert lines["chance (33.3 %)"][1] == pytest.approx([100 / 3] * 2)
    assert figure.axes[0].get_xlabel() == "SNR (dB)"


def test_accuracy_per_class_is_sorted():
    (axes,) = plots.accuracy_per_class(metrics()).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["QPSK", "OOK", "BPSK"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([75, 90, 100])
    assert lines_of(axes)["all classes: 80.0 %"][0] == [80, 80]


def test_confusion_matrix():
    figure = plots.confusion_matrix(metrics()["test_confusion_high_snr"])
    axes = figure.axes[0]
    assert np.allclose(
        axes.get_images()[0].get_array(), [[90, 10, 0], [0, 100, 0], [0.25, 24.75, 75]]
    )
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "90", (1, 0): "10", (1, 1): "100", (1, 2): "25", (2, 2): "75"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["OOK", "BPSK", "QPSK"]


def test_confusion_matrix_with_a_class_that_was_only_named():
    figure = plots.confusion_matrix({"OOK": {"FM": 3, "OOK": 1}})
    assert np.allclose(figure.axes[0].get_images()[0].get_array(), [[25, 75], [0, 0]])


def test_pruning_trajectory():
    accuracy, nonzeros, share = plots.pruning_trajectory(pruned()["pruning"]).axes
    lines = lines_of(accuracy)
    assert lines["met: kept"][0] == [0, 1, 3]
    assert lines["met: kept"][1] == pytest.approx([65, 62, 61])
    assert lines["not met: undone"][0] == [2]
    assert lines["not met: undone"][1] == pytest.approx([55])
    assert lines["criterion: 60.00 %"][1] == [60, 60]
    lines = lines_of(nonzeros)
    assert lines["met: kept"] == ([0, 1, 3], [1000, 800, 720])
    assert lines["not met: undone"] == ([2], [640])
    assert [bar.get_height() for bar in share.patches] == pytest.approx([20, 20, 10])
    assert [bool(bar.get_hatch()) for bar in share.patches] == [False, True, False]
    assert [text.get_text() for text in share.texts] == ["20", "20", "10"]


@pytest.mark.parametrize("rounds", [0, 1, 60])
def test_pruning_of_any_length_can_be_drawn(rounds):
    section = pruned()["pruning"]
    section["rounds"] = (section["rounds"] * 20)[:rounds]
    assert plots.as_svg(plots.pruning_trajectory(section)).startswith(b"<?xml")


def points_of(figure: Figure) -> list[set[tuple[float, float, bool]]]:
    """For each pair of axes its points: x, y, and whether they are filled."""
    return [
        {
            (*map(float, np.round(points.get_offsets()[0], 6)), len(points.get_facecolor()) > 0)
            for points in axes.collections
            if isinstance(points, PathCollection)
        }
        for axes in figure.axes
    ]


def test_cost_over_accuracy():
    unpruned, cut = points_of(plots.cost_over_accuracy([metrics(), pruned()]))
    assert unpruned == {(60.0, 0.98, True), (59.5, 1.0, False)}
    assert cut == {(59.0, 0.36, True)} | {
        (round(100 * row.test, 6), row.cost, False) for row in PUBLISHED if row.method != "none"
    }


def test_cost_over_accuracy_names_bits():
    axes = plots.cost_over_accuracy([pruned(bits=5)]).axes[1]
    at = {tuple(np.round(text.xy, 6)): text.get_text() for text in axes.texts}
    assert at[59.0, 0.45] == "5"
    assert at[56.0, 0.0583] == "8"


def test_the_same_figure_has_the_same_bytes():
    first, second = (plots.as_svg(plots.accuracy_per_class(metrics())) for _ in range(2))
    assert first == second
    assert first != plots.as_svg(plots.accuracy_per_class({**metrics(), "high_snr_db": 12}))


def images_in(page: str) -> list[bytes]:
    encoded = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    return [b64decode(text, validate=True) for text in encoded]


def test_the_page_holds_every_image(tmp_path):
    run = read_run("a<b", record(tmp_path, "x", pruned()))
    files = plot_files(run, [run])
    assert set(files) == {f"{name}.svg" for name in (*IMAGES, "pruning_trajectory")} | {
        "index.html"
    }
    page = files["index.html"].decode()
    assert sorted(images_in(page)) == sorted(
        content for name, content in files.items() if name != "index.html"
    )
    assert "<h1>a&lt;b</h1>" in page
    assert "59.00 %" in page
    assert "Trained and tested on synthetic frames only." in page
    assert re.search(r'(src|href)="(?!data:)', page) is None


def test_a_run_is_compared_with_unpruned_networks_of_its_width_and_of_8_bits(tmp_path):
    content = {
        "w8": metrics(8),
        "w5": metrics(5),
        "w4": metrics(4),
        "w4_imp": pruned(4, "imp"),
        "mine": pruned(4),
    }
    runs = [read_run(name, record(tmp_path, name, one)) for name, one in content.items()]
    mine = runs.pop()
    first = pictures_of(mine, runs)[0]
    assert first.name == "accuracy_over_snr.svg"
    labels = lines_of(first.figure.axes[0])
    assert [label.split()[0] for label in labels] == ["mine", "w8", "w4", "chance"]


def test_an_earlier_record_of_the_run_is_not_plotted(tmp_path):
    shipped = read_run("mine", record(tmp_path, "shipped", metrics(test=0.3)))
    newest = read_run("mine", record(tmp_path, "newest", metrics(test=0.7)))
    assert plot_files(newest, [shipped]) == plot_files(newest, [])


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """The folder of a model in a project of its own, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "Build", partial(Build, root=tmp_path))
    return record(tmp_path / "models", "toy", metrics()).parent


def test_command_writes_the_page(model, tmp_path, capsys):
    assert cli.main(["plots", "--model", str(model)]) == 0
    said = "plots of models/toy/metrics.json -> build/toy/plots/index.html\n"
    assert capsys.readouterr().out == said
    folder = tmp_path / "build" / "toy" / "plots"
    assert {path.name for path in folder.iterdir()} == {f"{name}.svg" for name in IMAGES} | {
        "index.html"
    }
    assert len(images_in((folder / "index.html").read_text())) == 4


def test_command_replaces_earlier_plots_and_leftovers(model, tmp_path):
    folder = tmp_path / "build" / "toy" / "plots"
    folder.mkdir(parents=True)
    (folder / "pruning_trajectory.svg").touch()
    (folder.parent / ".plots.123.out").mkdir()
    assert cli.main(["plots", "--model", str(model)]) == 0
    assert not (folder / "pruning_trajectory.svg").exists()
    assert {path.name for path in folder.parent.iterdir()} == {"plots", ".lock"}


def test_a_failure_leaves_the_earlier_plots(model, tmp_path, monkeypatch):
    assert cli.main(["plots", "--model", str(model)]) == 0
    folder = tmp_path / "build" / "toy" / "plots"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "write_bytes", full)
    assert cli.main(["plots", "--model", str(model)]) == 130
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert {path.name for path in folder.parent.iterdir()} == {"plots", ".lock"}


def test_newest_of_the_build_is_plotted(model, tmp_path, capsys):
    trained = record(tmp_path / "build" / "toy", "train", metrics(test=0.7))
    assert cli.main(["plots", "--model", str(model)]) == 0
    assert (
        "models/toy/metrics.json" in capsys.readouterr().out
    )  # an unfinished build does not count
    (trained.parent / "manifest.json").touch()
    assert cli.main(["plots", "--model", str(model)]) == 0
    assert "build/toy/train/metrics.json" in capsys.readouterr().out
    assert "70.00 %" in (tmp_path / "build" / "toy" / "plots" / "index.html").read_text()


@pytest.mark.parametrize(
    ("text", "what"),
    [("{", "not a JSON file"), ('{"network": {}}', "another format: it has no data")],
)
def test_command_names_a_broken_record(model, tmp_path, capsys, text, what):
    (model / "metrics.json").write_text(text)
    assert cli.main(["plots", "--model", str(model)]) == 2
    error = capsys.readouterr().err
    assert what in error
    assert "where: models/toy/metrics.json\n" in error
    assert not (tmp_path / "build" / "toy" / "plots").exists()


def test_command_without_a_record_says_what_to_run(model, capsys):
    (model / "metrics.json").unlink()
    assert cli.main(["plots", "--model", str(model)]) == 2
    assert "try: make data train ship MODEL=models/toy\n" in capsys.readouterr().err
