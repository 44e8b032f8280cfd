"""What is printed: tables and progress where no terminal is there to draw on."""

import pytest

from pipeline.core import progress as progress_module
from pipeline.core.progress import progress
from pipeline.core.tables import print_table


def test_plain_table(capsys):
    rows = [["pool0", 1234567, 0.5, None], ["[act7]", 2, 100.0, "x"]]
    print_table("Layers", ["layer", "values", "ratio", "note"], rows)
    assert capsys.readouterr().out.splitlines() == [
        "Layers",
        "layer      values  ratio  note",
        "------  ---------  -----  ----",
        "pool0   1,234,567    0.5",
        "[act7]          2    100  x",
    ]


def test_table_on_a_terminal_shows_the_same_cells(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table("Layers", ["layer", "values"], [["[act7]", 1234567]])
    out = capsys.readouterr().out
    assert "[act7]" in out  # not taken for markup
    assert "1,234,567" in out


def test_empty_table(capsys):
    print_table("None", ["a", "b"], [])
    assert capsys.readouterr().out.splitlines() == ["None", "a  b", "-  -"]


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that progress reads."""
    result = Clock()
    monkeypatch.setattr(progress_module, "time", result)
    return result


def test_progress_in_lines(capsys, clock):
    with progress("training", 4000, "frames") as bar:
        for loss in ("2.0", "1.5", "1.0", "0.5"):
            clock.now += 6
            bar.advance(1000, loss=loss)
    assert bar.done == 4000
    assert capsys.readouterr().out.splitlines() == [
        "training: 2,000/4,000 frames, 166.7 frames/s, 12 s left, loss 1.5",
        "training: 4,000/4,000 frames, 166.7 frames/s, 0 s left, loss 0.5",
        "training: 4,000/4,000 frames, 166.7 frames/s, in 24.0 s, loss 0.5",
    ]


def test_progress_says_how_far_it_came_only_where_it_ended(capsys, clock):
    with progress("nothing", 10, "frames"):
        clock.now += 1
    assert capsys.readouterr().out.startswith("nothing: 0/10 frames")


def test_progress_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with progress("training", 2, "frames") as bar:
        bar.advance(2, loss="0.5")
    assert "training" in capsys.readouterr().out
