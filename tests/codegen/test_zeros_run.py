"""Whole runs as the top of a design, in Verilator: dense layers behind convolutions, or alone."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.codegen import rtl
from pipeline.codegen.nodes import run_hdl
from pipeline.codegen.zeros_run import TapPart
from pipeline.core.paths import PROJECT_ROOT
from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import Codes, IntegerModel
from pipeline.dataflow.zeros.run import Arrival, Pace, Planner, Run, paced
from pipeline.verify.compare import compare
from pipeline.verify.rtlsim import Stalls, build_simulator, simulate
from pipeline.verify.rungs import RTL_CACHE, read_design
from tests.random_model import Shape, random_codes, random_model

KERNELS = PROJECT_ROOT / "hw" / "rtl"
FOLDING = LayerFolding(1, 1, 1)
FRAMES, SEED = 8, 7
FLAGS = 5
"""Of a word of the program: wait, last, clear, emit, value."""
ALL_STALLS = ("none", "random 40", "bursts", "stop", "full", "reset")


@dataclass(frozen=True)
class Case:
    """Layers to make at random, of which the first `kept` are a run."""

    positions: int
    channels: int
    codes: Codes
    shapes: tuple[Shape, ...]
    kept: int
    arrival: tuple[int, int]

    def model(self) -> IntegerModel:
        return random_model(self.positions, self.channels, self.codes, list(self.shapes), SEED)[0]

    def run(self) -> Run:
        model = self.model()
        layers = model.layers[: self.kept]
        arrival = Arrival(self.positions, *self.arrival)
        return Planner(layers, model.input, arrival).run(paced(layers, arrival))


def hidden(out: int, kernel: int, codes: Codes) -> Shape:
    return Shape(out, kernel, 0, 1, codes, 4, FOLDING)


def conv(out: int, codes: Codes, pool: int = 2) -> Shape:
    return Shape(out, 3, 1, pool, codes, 4, FOLDING)


LOGITS = Shape(5, 1, 0, 1, None, 4, FOLDING, bias=True)
SIGNED, FOUR, THREE = Codes(-8, 7), Codes(0, 15), Codes(-3, 4)

CASES = {
    "convolutions and dense layers": Case(
        256,
        2,
        SIGNED,
        (conv(5, FOUR), conv(3, THREE), hidden(6, 64, FOUR), hidden(7, 1, THREE), LOGITS),
        5,
        (1, 1),
    ),
    "two samples a clock": Case(
        256,
        2,
        SIGNED,
        (conv(4, FOUR, 4), conv(2, FOUR, 4), hidden(3, 16, FOUR), LOGITS),
        4,
        (2, 1),
    ),
    "dense layers alone": Case(8, 3, SIGNED, (hidden(6, 8, FOUR), LOGITS), 2, (1, 12)),
    "codes at the end": Case(
        8, 3, FOUR, (hidden(6, 8, FOUR), hidden(4, 1, THREE), LOGITS), 2, (1, 16)
    ),
}


def generated(run: Run, folder: Path) -> Path:
    """The run as the only node of a design."""
    node = run_hdl("run", run, "")
    entering = node.in_elements
    words = run.positions * run.channels // entering
    stream = rtl.TopStream(
        "input", "s_axis", run.entering.bits, run.entering.signed, entering, words, "input"
    )
    for name, content in rtl.accelerator([node], stream, KERNELS, b"").items():
        (folder / name).write_bytes(content)
    return folder


def differences(case: Case, folder: Path, stalls: str, scratch: Path) -> dict[str, int]:
    """Mismatches by boundary, and of what leaves."""
    model, codes = case.model(), random_codes(case.model(), FRAMES, SEED)
    place = scratch / stalls.replace(" ", "-")
    place.mkdir()
    found = simulate(
        build_simulator(read_design(folder), RTL_CACHE),
        codes.reshape(FRAMES, math.prod(codes.shape[1:])),
        stalls=Stalls.parse(stalls),
        seed=SEED,
        tables=folder,
        scratch=place,
    ).values
    wanted, names = model.trace(codes), [x.boundary for x in model.layers[: case.kept]]
    ends_dense = len(case.run().convolutions) < case.kept
    shown = names[:-1] if ends_dense else names
    assert sorted(found) == sorted([*shown, "output"])
    pairs = {**{name: name for name in shown}, "output": names[-1]}
    return {
        name: compare(name, wanted[own], found[name].reshape(wanted[own].shape)).mismatches
        for name, own in pairs.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_every_boundary_is_the_integer_models(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "rtl"
    folder.mkdir()
    generated(CASES[name].run(), folder)
    for stalls in ALL_STALLS:
        assert not any(differences(CASES[name], folder, stalls, tmp_path).values()), stalls


def flipped_weight(folder: Path) -> None:
    """One bit of the first truth table of the second layer."""
    path = folder / "run_layer1.sv"
    text = path.read_text()
    found = re.search(r"\.Table\(\d+'h([0-9a-f]+)\)", text)
    assert found is not None
    middle = (found.start(1) + found.end(1)) // 2
    path.write_text(text[:middle] + f"{int(text[middle], 16) ^ 1:x}" + text[middle + 1 :])


def turned_signs(folder: Path) -> None:
    """The weights of the last unit have the other sign, in all words that only multiply.

    A single word would not do: its products are small beside the steps between thresholds.
    """
    path = folder / "run_dense_program.mem"
    words = path.read_text().split()
    top = max(int(word, 16) for word in words).bit_length() - 1
    turned = [
        int(word, 16) ^ (0 if int(word, 16) & ((1 << FLAGS) - 1) else 1 << top) for word in words
    ]
    path.write_text("".join(f"{word:0{len(words[0])}x}\n" for word in turned))


def other_values(folder: Path) -> None:
    """The bias of the first output goes to the second one."""
    path = folder / "run_dense_values.mem"
    words = path.read_text().splitlines(keepends=True)
    path.write_text("".join([words[1], words[0], *words[2:]]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        (flipped_weight, "layer.1.out"),
        (turned_signs, "layer.2.out|layer.3.out|output"),
        (other_values, "output"),
    ],
)
def test_a_planted_fault_is_found_where_it_is(
    plant: Callable[[Path], None], seen: str, tmp_path: Path
) -> None:
    case, folder = CASES["convolutions and dense layers"], tmp_path / "rtl"
    folder.mkdir()
    generated(case.run(), folder)
    plant(folder)
    found = differences(case, folder, "none", tmp_path)
    first = next(name for name, mismatches in found.items() if mismatches)
    assert re.fullmatch(seen, first)


def test_parts_of_a_tap_are_taken_apart_in_their_own_order() -> None:
    """A wrong place would compare an output with another one."""
    run = CASES["convolutions and dense layers"].run()
    tap = run_hdl("run", run, "").taps[-1]
    assert [part.boundary for part in tap.parts] == ["layer.2.out", "layer.3.out"]
    places = [place for part in tap.parts for place in part.places]
    assert len(set(places)) == len(places) == 6 + 7
    assert max(places) < tap.elements * tap.words
    assert tap.parts[1] == TapPart("layer.3.out", tap.parts[1].places, -3)


def test_the_pace_is_in_the_design(tmp_path: Path) -> None:
    """A slower layer is another circuit."""
    case = CASES["dense layers alone"]
    model = case.model()
    arrival = Arrival(case.positions, 1, 40)
    slow = Planner(model.layers, model.input, arrival).run(Pace(1, 40, ()))
    texts = [run_hdl("run", run, "").sources["run.sv"] for run in (case.run(), slow)]
    assert [re.search(r"\.Cycles\((\d+)\)", text)[1] for text in texts] == ["12", "40"]  # type: ignore[index]
    assert np.array_equal(slow.layers[0].weights, model.layers[0].weights)
