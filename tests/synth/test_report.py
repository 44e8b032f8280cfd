"""The table against a board's budget."""

from dataclasses import replace

import pytest

from pipeline.boards.board import load_board
from pipeline.synth import report
from pipeline.synth.cells import Usage
from pipeline.synth.depth import Path
from pipeline.synth.report import Row, against, entry, notes, summed

BOARD = replace(load_board("pynq_z2"), lut=1000, ff=2000, dsp=10, bram36=4)
USED = Usage(
    lut=1001, logic=990, lutram=8, srl=3, ff=2000, dsp=10, bram36=4.5, shared=70, packed=900
)
PATH = Path(2, 1, 0, 4, 0, ("conv0", "a[1]"), ("conv1", "b"))


def made(used: Usage, board: object = BOARD) -> dict:
    """A report of one layer."""
    row = Row("conv0", used, 128, PATH)
    shell = Row("shell", Usage(), None, None)
    return {
        "tool": "Yosys",
        "part": "part",
        "board_name": "PYNQ-Z2",
        "layers": [entry(row)],
        "core": entry(row),
        "shell": entry(shell),
        "total": entry(row),
        **against(used, board),
    }


def test_rows_add_up() -> None:
    rows = [Row("a", USED, None, None), Row("b", replace(USED, lut=1, bram36=0.5), None, None)]
    total = summed(rows)
    assert (total.lut, total.ff, total.bram36) == (1002, 4000, 5.0)


def test_what_exceeds_the_budget_is_said() -> None:
    found = made(USED)
    assert found["exceeded"] == ["lut", "bram36"]
    assert found["percent"] == {"lut": 100.1, "ff": 100.0, "dsp": 100.0, "bram36": 112.5}
    said = notes(found)
    assert "DOES NOT FIT PYNQ-Z2: 1,001 of 1,000 LUT (100.1 %)" in said
    assert "DOES NOT FIT PYNQ-Z2: 4.5 of 4 BRAM36 (112.5 %)" in said
    assert "each in its own site: 1,071; an estimate, if all shared that could: 900" in said[0]
    assert notes(made(replace(USED, shared=0)))[0] == "LUT: sites, one a LUT"


def test_what_fits_to_the_last_is_not() -> None:
    found = made(replace(USED, lut=1000, bram36=4.0))
    assert found["exceeded"] == []
    assert not [text for text in notes(found) if "FIT" in text]


def test_a_board_without_any_of_a_kind() -> None:
    found = made(USED, replace(BOARD, dsp=0))
    assert found["percent"]["dsp"] is None
    assert "DOES NOT FIT PYNQ-Z2: 10 of 0 DSP" in notes(found)
    assert made(replace(USED, dsp=0), replace(BOARD, dsp=0))["exceeded"] == ["lut", "bram36"]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(made(USED) | {"whole": entry(Row("", USED, None, None))})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == (
        ["layer", "LUT", "of", "them", "RAM", "SRL", "FF", "DSP", "BRAM36", "cycles", "levels"]
    )
    assert lines[3].split() == ["conv0", "1,001", "8", "3", "2,000", "10", "4.5", "128", "3"]
    assert any(line.startswith("in one piece") for line in lines)
    (path,) = [line for line in lines if "conv0: a[1]" in line]
    assert path.split() == ["conv0", "3", "2", "1", "4", "conv0:", "a[1]", "conv1:", "b"]


def test_an_entry_has_what_the_design_asks_for() -> None:
    assert entry(Row("conv0", USED, 128, PATH)) == {
        "name": "conv0",
        "lut": 1001,
        "logic": 990,
        "lutram": 8,
        "srl": 3,
        "ff": 2000,
        "dsp": 10,
        "bram36": 4.5,
        "shared": 70,
        "packed": 900,
        "cycles": 128,
        "depth": {
            "levels": 3,
            "luts": 2,
            "chains": 1,
            "multipliers": 0,
            "carry": 4,
            "mux": 0,
            "from": "conv0: a[1]",
            "to": "conv1: b",
        },
    }
