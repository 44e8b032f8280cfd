"""The netlist of a small network equals the integer model; not so with one bit of a LUT wrong."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.codegen import rtl
from pipeline.codegen.nodes import run_hdl
from pipeline.core.config import Config
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.paths import PROJECT_ROOT
from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import Codes, IntegerModel
from pipeline.dataflow.kernel import Kernel
from pipeline.dataflow.zeros.run import Arrival, Planner, paced
from pipeline.stages.codegen import input_stream
from pipeline.stages.synth import splits
from pipeline.synth.families import ECP5, XC7
from pipeline.synth.joined import Joined
from pipeline.verify import netlist
from pipeline.verify.ladder import Rung, require_no_difference
from pipeline.verify.netlist import cell_models, netlist_design, require_models
from pipeline.verify.rtlsim import Design
from pipeline.verify.rungs import netlist_rung, read_design
from pipeline.verify.subject import Subject, unlabelled
from tests.random_model import Shape, random_model
from tests.synth.network import fifo, node

FOLDING = LayerFolding(1, 1, 1)
FOUR = Codes(0, 15)
SHAPES = [
    Shape(6, 3, 1, 2, FOUR, 4, FOLDING),
    Shape(3, 3, 1, 2, FOUR, 4, FOLDING),
    Shape(5, 8, 0, 1, FOUR, 4, FOLDING),
    Shape(4, 1, 0, 1, None, 4, FOLDING, bias=True),
]
"""Two convolutions on 32 positions, then dense layers on the 8 that are left."""
FRAMES, SPACING = 8, 4
VERIFY = Config.from_dict({"verify": {"stalls": "none, random 30, inside"}}).verify


@dataclass(frozen=True)
class Made:
    """rtl: the design as it was; mapped: its netlist."""

    subject: Subject
    rtl: Design
    mapped: Design


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("network")
    model, _ = random_model(32, 2, Codes(-8, 7), SHAPES, 5)
    for name, content in generated(model).items():
        (folder / name).write_bytes(content)
    place = tmp_path_factory.mktemp("netlist")
    design, own = read_design(folder), splits(rtl.load_design(folder))
    mapped = netlist_design(design, own, XC7, tmp_path_factory.mktemp("cache"), place)
    frames = np.random.default_rng(3).uniform(-9, 8, (FRAMES, 32, 2)) * model.input_scale
    return Made(unlabelled(model, frames.astype(np.float32)), design, mapped)


def generated(model: IntegerModel) -> dict[str, bytes]:
    """The accelerator: all layers in a run, and the label."""
    arrival = Arrival(model.positions, 1, SPACING)
    run = Planner(model.layers, model.input, arrival).run(paced(model.layers, arrival))
    layers = run_hdl("ZeroSkipping_rtl_0", run, model.layers[-1].boundary)
    bits, labels = layers.output.bits, len(model.layers[-1].weights)
    kernel = Kernel("label_select", {"Labels": labels, "Pe": 1, "Bits": bits, "Signed": 1}, {})
    label = node("LabelSelect_rtl_0", kernel, (layers.out_bits, 8), 8, "dense1")
    one = replace(label.output, words=1, elements=1)
    nodes = [
        replace(fifo(0, layers.in_bits), in_elements=layers.in_elements),
        layers,
        replace(label, output=replace(one, stream="label")),
        replace(fifo(1, 8), output=one),
    ]
    return rtl.accelerator(nodes, input_stream(nodes, model), PROJECT_ROOT / "hw" / "rtl", b"")


def ran(made: Made, design: Design, folder: Path) -> Rung:
    return netlist_rung(made.subject, design, VERIFY, folder)


@pytest.mark.slow
def test_every_layer_of_the_netlist_is_equal(made: Made, tmp_path: Path) -> None:
    rung = ran(made, made.mapped, tmp_path)
    assert rung.rung == "netlist"
    assert rung.mismatches == 0
    boundaries = made.subject.model.boundaries
    assert [x.name for x in rung.layers] == [*boundaries, "label", "output"]
    assert [x.values for x in rung.layers] == [2 * FRAMES * n for n in (16 * 6, 8 * 3, 5, 4, 1, 1)]
    assert [run.stalls for run in rung.runs] == ["none", "random 30 %"]  # none from inside
    assert rung.cycles is not None
    assert rung.cycles["interval"] == 32 * SPACING


@pytest.mark.slow
def test_one_bit_of_a_lut_is_found(made: Made, tmp_path: Path) -> None:
    *others, file, top = made.mapped.sources
    broken = tmp_path / file.name
    text = file.read_text()
    start = text.index("module part_layer_1(")
    # the lowest bit of a sum of three: wrong where all three are 0
    init = re.compile(r"LUT3 #\(\n\s+\.INIT\(8'h(96|69)\)").search(text, start)
    assert init is not None
    place = init.end(1) - 1
    broken.write_text(f"{text[:place]}{int(text[place], 16) ^ 1:x}{text[place + 1 :]}")
    design = replace(made.mapped, sources=(*others, broken, top))
    rung = ran(made, design, tmp_path)
    found = {x.name: x.mismatches for x in rung.layers}
    first, second, *_ = made.subject.model.boundaries
    assert found[first] == 0
    assert found[second] > 0
    with pytest.raises(VerificationFailed) as error:
        require_no_difference([rung], made.subject, "again {frame}")
    said = str(error.value)
    for text in ("netlist", second, "expected", "got"):
        assert text in said


def test_a_family_whose_cells_have_no_models() -> None:
    with pytest.raises(UserError, match="no models of the cells of Lattice ECP5"):
        cell_models(ECP5)
    assert cell_models(XC7)


def test_cells_without_a_model_are_named() -> None:
    found = Joined("", frozenset({"LUT6", "URAM288", "DSP48E9"}), {}, {})
    with pytest.raises(UserError, match="what these cells do: DSP48E9, URAM288"):
        require_models(found, cell_models(XC7))


def test_a_stream_that_the_netlist_lost_is_no_stream_to_compare() -> None:
    found = Joined("", frozenset(), {"ap_clk": 1}, {"stream1_tdata": 8})
    with pytest.raises(RuntimeError, match="does not show stream1_tvalid"):
        netlist._top("top", "core", found, ["stream1_tdata", "stream1_tvalid"])
