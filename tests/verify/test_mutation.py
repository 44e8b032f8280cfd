"""Mutation runs: their verdicts, and that an argument is given only where nothing can differ."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.tools import ToolError
from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import Codes, IntegerModel
from pipeline.verify.compare import LayerResult, compare
from pipeline.verify.ladder import compare_streams
from pipeline.verify.mutants.faults import CPP_FAULTS, RTL_FAULTS, SourceFault
from pipeline.verify.mutants.run_faults import RUN_FAULTS
from pipeline.verify.mutants.sources import is_there
from pipeline.verify.mutation import REFUSED, Mutant, judge, random_changes
from tests.random_model import Shape, random_codes, random_model


def model_of(seed: int) -> IntegerModel:
    """Few levels, so that a threshold often lies where no accumulator is; pools that drop."""
    shapes = [
        Shape(6, 3, 1, 2, Codes(0, 3), 4, LayerFolding(1, 1, 1)),
        Shape(5, 3, 1, 3, Codes(-2, 1), 4, LayerFolding(1, 1, 1)),
        Shape(4, 2, 0, 1, None, 4, LayerFolding(1, 1, 1), bias=True),
    ]
    return random_model(13, 2, Codes(-8, 7), shapes, seed)[0]


@pytest.mark.parametrize("seed", range(8))
def test_an_argument_is_given_where_and_only_where_nothing_differs(seed: int) -> None:
    model = model_of(seed)
    codes = random_codes(model, 3, seed)
    wanted = model.trace(codes)
    visible = argued = 0
    for change in random_changes(model, 40, seed):
        results = compare_streams(model.streams, wanted, change.applied(model).trace(codes))
        first = next((x.first.layer for x in results if x.first), None)
        argument = change.argument(model, wanted)
        assert (first is None) == bool(argument), change.describe(model)
        assert first in (None, *change.seen_at(model))
        visible, argued = visible + (first is not None), argued + bool(argument)
    assert visible > 50
    assert argued > 10


def test_thresholds_stay_in_order() -> None:
    for seed in range(20):
        model = model_of(seed)
        for change in random_changes(model, 20, seed):
            if change.array == "thresholds":
                row = change.applied(model).layers[change.layer].thresholds[change.index[0]]
                assert (np.diff(row) >= 0).all()


ZEROS = np.zeros((1, 2, 1), np.int64)
ONES = np.ones((1, 2, 1), np.int64)


def mutant(
    results: Sequence[LayerResult] | Exception, argument: str = "", **keys: object
) -> Mutant:
    def run(_: Path) -> Sequence[LayerResult]:
        if isinstance(results, Exception):
            raise results
        return results

    where = keys.get("where", ("b",))
    assert isinstance(where, tuple)
    return Mutant("rung", "kind", "what", where, run, lambda: argument)


SAME = [compare("a", ZEROS, ZEROS), compare("b", ZEROS, ZEROS)]
AT_B = [compare("a", ZEROS, ZEROS), compare("b", ZEROS, ONES)]
AT_A = [compare("a", ZEROS, ONES), compare("b", ZEROS, ONES)]
HANGS = VerificationFailed("the design hangs")
ENDLESS = ToolError("ended after its time limit", Path(__file__), "wait", None)
NO_TABLE = UserError("the table is missing", "folder", "make codegen")
VERDICTS = [
    (mutant(AT_B), "caught"),
    (mutant(AT_A), "misplaced"),
    (mutant(SAME), "survived"),
    (mutant(SAME, "because"), "equivalent"),
    (mutant(AT_B, "because"), "caught"),
    (mutant(HANGS), "misplaced"),
    (mutant(HANGS, where=("b", REFUSED)), "caught"),
    (mutant(NO_TABLE, where=(REFUSED,)), "caught"),
    (mutant(ENDLESS, where=(REFUSED,)), "misplaced"),
    (mutant(SAME, where=(REFUSED,)), "survived"),
    (mutant(AT_B, where=(REFUSED,)), "misplaced"),
]


@pytest.mark.parametrize(("planted", "verdict"), VERDICTS)
def test_verdicts(planted: Mutant, verdict: str, tmp_path: Path) -> None:
    assert judge(planted, tmp_path).verdict == verdict


@pytest.mark.parametrize(
    "fault", [*CPP_FAULTS, *RTL_FAULTS, *RUN_FAULTS], ids=lambda x: f"{x.file} {x.kind}"
)
def test_faults_of_sources_are_faults_of_the_sources_there_are(fault: SourceFault) -> None:
    """In the generated top they are looked for when they are planted."""
    found = [path for path in (PROJECT_ROOT / "hw").rglob(fault.file) if path.is_file()]
    for path in found:
        text = path.read_text()
        assert re.sub(fault.old, fault.new, text, count=1) != text
    assert found or fault.file == "accelerator.sv"


def test_faults_are_planted_where_they_can_show(tmp_path: Path) -> None:
    fault = SourceFault("kind", "part.sv", "a", "b", ("any",), needs=r"part #|\.Ways\(2\)")
    assert not is_there(fault, tmp_path)
    (tmp_path / "part.sv").write_text("module part")
    assert not is_there(fault, tmp_path)
    assert is_there(replace(fault, needs=""), tmp_path)
    for text, there in (("other #(.Ways(1))", False), ("other #(.Ways(2))", True)):
        (tmp_path / "ZeroSkipping_rtl_0_layer1.sv").write_text(text)
        assert is_there(fault, tmp_path) == there
