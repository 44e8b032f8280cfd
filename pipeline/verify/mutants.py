"""The faults that mutation runs plant, rung by rung.

Data are changed at random places, one integer a mutant; structure by a list of faults that
hardware engineers make.  Tables are read when simulations start, so a changed one needs no build;
a changed source does.
"""

from __future__ import annotations

import copy
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from torch import nn

from pipeline.codegen import hls
from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import IntegerModel, Integers, Layer
from pipeline.dataflow.lowering import grouped, matrix_of
from pipeline.dataflow.reference import run_graph
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.chain import Block, Chain
from pipeline.network.frozen import freeze_graph
from pipeline.network.qonnx_reader import read_qonnx
from pipeline.verify import pytorch, qonnx
from pipeline.verify.compare import LayerResult
from pipeline.verify.cppsim import CppSimulator, build_cpp_simulator, simulate_cpp
from pipeline.verify.ladder import OUTPUT, compare_streams, with_output
from pipeline.verify.mutation import REFUSED, Change, Mutant, random_changes
from pipeline.verify.rtlsim import Simulator, Stalls, build_simulator, hesitant, simulate
from pipeline.verify.rungs import read_design
from pipeline.verify.subject import Subject


@dataclass(frozen=True)
class Targets:
    """What faults are planted in: a network at every stage, and where programs are kept.

    network, chain: rung 1; exported: the QONNX graph; graph: FINN's hardware graph; foldings,
    hls, rtl: of the accelerator; each: random places a table; seed: of those; sources: whether
    faults are planted in C++ and RTL, too.
    """

    subject: Subject
    network: nn.Sequential
    chain: Chain
    exported: ModelWrapper
    graph: ModelWrapper
    foldings: Sequence[LayerFolding]
    hls: Path
    rtl: Path
    programs: Path
    each: int
    seed: int
    sources: bool

    @property
    def model(self) -> IntegerModel:
        return self.subject.model

    @cached_property
    def streams(self) -> dict[str, Integers]:
        """The integer model's, of all frames, and what leaves."""
        return with_output(self.model.trace(self.subject.codes))

    def boundaries(
        self, found: Mapping[str, Integers], entering: Integers
    ) -> Sequence[LayerResult]:
        """The comparison of a rung without accumulators."""
        wanted = {"input": self.subject.codes, **self.streams}
        names = ("input", *self.model.boundaries)
        return compare_streams(names, wanted, {"input": entering, **found})

    def hardware(self, found: Mapping[str, Integers]) -> Sequence[LayerResult]:
        """The comparison of a rung with all streams."""
        return compare_streams((*self.model.hardware_streams, OUTPUT), self.streams, found)

    def changes(self) -> Iterator[tuple[Change, Callable[[], str]]]:
        """Random changes of single integers, each with its argument."""
        for change in random_changes(self.model, self.each, self.seed):
            yield change, partial(change.argument, self.model, self.streams)

    def same_codes(self, faulty: Chain) -> str:
        """The argument for a network that has other parameters, but the same integers."""
        theirs = freeze_graph(faulty)[0].model.trace(self.subject.codes)
        names = zip(self.model.boundaries, list(theirs)[1::2], strict=False)
        if any((theirs[its] != self.streams[ours]).any() for ours, its in names):
            return ""
        return "frozen to integers, it has the same codes in all frames"

    def half_up(self, _: Path) -> Sequence[LayerResult]:
        """The input's codes, rounded as FINN would."""
        model, frames = self.model, self.subject.frames
        steps = np.floor(frames / np.float32(model.input_scale) + np.float32(0.5))
        codes = np.clip(steps, model.input.low, model.input.high).astype(np.int64)
        entering = pytorch.input_codes(self.network, self.chain, frames)
        return compare_streams(("input",), {"input": entering}, {"input": codes})

    def without_frames(self) -> Targets:
        """The same, with nothing to run."""
        subject = self.subject
        empty = replace(subject, frames=subject.frames[:0], codes=subject.codes[:0])
        return replace(self, subject=empty)

    def tied(self) -> Targets:
        """The same, with a model all of whose logits are equal."""
        *layers, last = self.model.layers
        bias = None if last.bias is None else np.full_like(last.bias, last.bias[0])
        equal = replace(last, weights=np.zeros_like(last.weights), bias=bias)
        model = replace(self.model, layers=(*layers, equal))
        return replace(self, subject=replace(self.subject, model=model))

    def streams_called(self, where: str) -> tuple[str, ...]:
        """The streams that a `SourceFault` means."""
        names = (*self.model.hardware_streams, OUTPUT)
        if where == "accumulators":
            return tuple(name for name in names if name.endswith(".accumulator"))
        if where == "boundaries":
            return self.model.boundaries
        return names if where == "any" else (where,)  # one of them, or `REFUSED`


def mutants(targets: Targets) -> Iterator[Mutant]:
    """All of them, rung by rung."""
    for rung in (of_pytorch, of_qonnx, of_finn, of_cppsim, of_rtlsim):
        yield from rung(targets)


# --- PyTorch and QONNX --------------------------------------------------------------------------

Plant = Callable[[nn.Sequential], object]


def of_pytorch(targets: Targets) -> Iterator[Mutant]:
    """Parameters changed in a copy of the network."""
    rng = np.random.default_rng(targets.seed)
    for block in targets.chain.blocks:
        for kind, plant in _torch_faults(block, rng):
            yield _of_torch(targets, kind, block, plant)
    yield Mutant("host", "rounding", "the host rounds halves up", ("input",), targets.half_up)


def _torch_faults(block: Block, rng: np.random.Generator) -> Iterator[tuple[str, Plant]]:
    out, tap = (int(rng.integers(n)) for n in (len(block.weights), block.weights[0].size))
    step = float(block.weight_scale[0])

    def norm(model: nn.Sequential) -> nn.Module:
        paths = [path for path, _ in model.named_children()]
        return model.get_submodule(paths[paths.index(block.name) + 1])

    def weights(model: nn.Sequential) -> torch.Tensor:
        return model.get_parameter(f"{block.name}.weight")

    def swap(model: nn.Sequential) -> None:
        weights(model)[[0, 1]] = weights(model)[[1, 0]].clone()

    yield "weight", lambda model: weights(model)[out].view(-1)[tap].add_(step)
    yield "stream order", swap
    if block.norm is None:
        yield "bias", lambda model: model.get_parameter(f"{block.name}.bias")[out].add_(1.0)
        return
    yield "threshold", lambda model: norm(model).bias[out].add_(0.5)
    yield "sign", lambda model: norm(model).weight[out].neg_()
    yield "mean", lambda model: norm(model).running_mean[out].add_(0.5)


def _of_torch(targets: Targets, kind: str, block: Block, plant: Plant) -> Mutant:
    faulty = copy.deepcopy(targets.network)
    with torch.no_grad():
        plant(faulty)

    def run(_: Path) -> Sequence[LayerResult]:
        chain, frames = targets.chain, targets.subject.frames
        found = pytorch.float32_boundaries(faulty, chain, frames)
        return targets.boundaries(found, pytorch.input_codes(faulty, chain, frames))

    def argument() -> str:
        return targets.same_codes(read_brevitas(faulty, targets.model.positions))

    what = f"{block.name}: {kind} changed"
    return Mutant("pytorch", kind, what, (block.boundary,), run, argument)


def of_qonnx(targets: Targets) -> Iterator[Mutant]:
    """Constants and attributes changed in a copy of the exported graph."""
    rng = np.random.default_rng(targets.seed)
    graph = targets.exported
    for index, node in enumerate(graph.get_nodes_by_op_type("Conv")):
        block = targets.chain.blocks[index]
        yield _of_graph(targets, "padding", block, node.name, _shift_pads)
    normed = [block for block in targets.chain.blocks if block.norm is not None]
    norms = graph.get_nodes_by_op_type("BatchNormalization")
    for block, node in zip(normed, norms, strict=True):
        for kind, which in (("sign", 1), ("threshold", 2), ("mean", 3)):
            channel = int(rng.integers(len(block.weights)))
            yield _of_graph(targets, kind, block, node.name, _edit(which, channel))
    for block, node in zip(targets.chain.blocks, _quantizers_of_weights(graph), strict=True):
        place = int(rng.integers(block.weights.size))
        yield _of_graph(targets, "weight", block, node.name, _edit(0, place))


def _quantizers_of_weights(graph: ModelWrapper) -> list[NodeProto]:
    return [
        node
        for node in graph.get_nodes_by_op_type("Quant")
        if (values := graph.get_initializer(node.input[0])) is not None and values.ndim > 1
    ]


def _shift_pads(_: ModelWrapper, node: NodeProto) -> None:
    """Both zeros before the frame, none behind it."""
    (pads,) = [attribute for attribute in node.attribute if attribute.name == "pads"]
    pads.ints[0], pads.ints[1] = pads.ints[0] + pads.ints[1], 0


def _edit(which: int, place: int) -> Callable[[ModelWrapper, NodeProto], None]:
    """Turns the sign of one value of an input of a node, and moves it a little."""

    def edit(graph: ModelWrapper, node: NodeProto) -> None:
        values = graph.get_initializer(node.input[which]).copy()
        values.reshape(-1)[place] = -values.reshape(-1)[place] - np.float32(0.25)
        graph.set_initializer(node.input[which], values)

    return edit


def _of_graph(
    targets: Targets,
    kind: str,
    block: Block,
    name: str,
    plant: Callable[[ModelWrapper, NodeProto], None],
) -> Mutant:
    faulty = copy.deepcopy(targets.exported)
    plant(faulty, faulty.get_node_from_name(name))

    def run(_: Path) -> Sequence[LayerResult]:
        frames = targets.subject.frames
        found = qonnx.boundaries(faulty, targets.model, frames)
        return targets.boundaries(found, qonnx.input_codes(faulty, frames))

    def argument() -> str:
        return targets.same_codes(read_qonnx(faulty, "the mutant"))

    where = (block.boundary, *([REFUSED] if kind == "padding" else []))
    return Mutant("qonnx", kind, f"{block.name}: {kind} changed", where, run, argument)


# --- FINN's graph -------------------------------------------------------------------------------


def of_finn(targets: Targets) -> Iterator[Mutant]:
    """Single integers, and the attributes that say where zeros go and where codes start."""
    for change, argument in targets.changes():
        graph = copy.deepcopy(targets.graph)
        _set_layer(graph, change.layer, change.applied(targets.model).layers[change.layer])
        what = change.describe(targets.model)
        where = change.seen_at(targets.model)
        run = _finn_run(targets, graph)
        yield Mutant("finn", change.array, what, where, run, argument)
    for layer, nodes in zip(targets.model.layers, grouped(targets.graph), strict=True):
        for kind, operator, attribute, value, seen in (
            ("padding", "FMPadding", "Padding", [2, 0, 0, 0], layer.accumulator_name),
            ("signedness", "Thresholding", "ActVal", 1, layer.boundary),
        ):
            for node in (n for n in nodes if n.op_type == operator):
                graph = copy.deepcopy(targets.graph)
                getCustomOp(graph.get_node_from_name(node.name)).set_nodeattr(attribute, value)
                what = f"{layer.name}: {attribute} of {operator} is {value}"
                yield Mutant("finn", kind, what, (seen,), _finn_run(targets, graph))


def _finn_run(targets: Targets, graph: ModelWrapper) -> Callable[[Path], Sequence[LayerResult]]:
    def run(_: Path) -> Sequence[LayerResult]:
        found = run_graph(graph, targets.model, targets.subject.codes)
        return targets.hardware({**found, OUTPUT: found["label"]})

    return run


def _set_layer(graph: ModelWrapper, index: int, layer: Layer) -> None:
    """Puts the integers of a layer into the graph's nodes."""
    values = {
        "MVAU": matrix_of(layer),
        "Thresholding": layer.thresholds,
        "ElementwiseAdd": layer.bias,
    }
    for node in grouped(graph)[index]:
        if node.op_type in values:
            before = graph.get_initializer(node.input[1])
            now = np.asarray(values[node.op_type]).reshape(before.shape).astype(before.dtype)
            graph.set_initializer(node.input[1], now)


# --- hardware: tables ---------------------------------------------------------------------------

RunWith = Callable[[Path, Path], Sequence[LayerResult]]
"""Compares all streams, with a folder of tables, in an empty folder."""

STALLS = Stalls("random", 40)
"""Under which RTL is simulated: some faults show only where a stream is held back."""


def of_cppsim(targets: Targets) -> Iterator[Mutant]:
    """Single integers in tables, tables that are broken, and faults in the sources."""
    simulator = build_cpp_simulator(targets.hls, targets.programs)
    run = _cpp_run(targets, simulator)
    for change, argument in targets.changes():
        changed = hls.tables(change.applied(targets.model), targets.foldings)
        name = f"layer{change.layer}_{change.array}.inc"
        plant = _tampered(targets.hls, {name: changed[name]}, run)
        where, what = (*change.seen_at(targets.model), REFUSED), change.describe(targets.model)
        yield Mutant("cppsim", change.array, what, where, plant, argument)
    yield from _broken_tables("cppsim", targets.hls, run)
    nothing = _cpp_run(targets.without_frames(), simulator)
    yield _of_no_frames("cppsim", targets.hls, nothing)
    for fault in CPP_FAULTS if targets.sources else ():
        yield from _of_source("cppsim", targets, fault)


def _cpp_run(targets: Targets, simulator: CppSimulator) -> RunWith:
    def run(tables: Path, scratch: Path) -> Sequence[LayerResult]:
        place = scratch / "run"
        place.mkdir()
        codes = targets.subject.codes
        return targets.hardware(simulate_cpp(simulator, codes, tables=tables, scratch=place))

    return run


def of_rtlsim(targets: Targets) -> Iterator[Mutant]:
    """The same for the RTL."""
    simulator = build_simulator(read_design(targets.rtl), targets.programs)
    run = _rtl_run(targets, simulator)
    for change, argument in targets.changes():
        name, text = changed_table(targets.rtl, change, targets.model, targets.foldings)
        where, what = change.seen_at(targets.model), change.describe(targets.model)
        plant = _tampered(targets.rtl, {name: text}, run)
        yield Mutant("rtlsim", change.array, what, where, plant, argument)
    yield from _broken_tables("rtlsim", targets.rtl, run)
    nothing = _rtl_run(targets.without_frames(), simulator)
    yield _of_no_frames("rtlsim", targets.rtl, nothing)
    for fault in RTL_FAULTS if targets.sources else ():
        yield from _of_source("rtlsim", targets, fault)


def _rtl_run(targets: Targets, simulator: Simulator) -> RunWith:
    def run(tables: Path, scratch: Path) -> Sequence[LayerResult]:
        place = scratch / "run"
        place.mkdir()
        codes = targets.subject.codes
        simulation = simulate(
            simulator,
            codes.reshape(len(codes), math.prod(codes.shape[1:])),
            stalls=STALLS,
            seed=targets.seed,
            tables=tables,
            scratch=place,
        )
        return targets.hardware(simulation.values)

    return run


def _tampered(
    folder: Path, changed: Mapping[str, str | None], run: RunWith
) -> Callable[[Path], Sequence[LayerResult]]:
    """A run with copies of the tables, of which some are other (None: missing)."""

    def tampered(scratch: Path) -> Sequence[LayerResult]:
        tables = scratch / "tables"
        tables.mkdir()
        for path in _tables_of(folder):
            shutil.copyfile(path, tables / path.name)
        for name, text in changed.items():
            (tables / name).unlink()
            if text is not None:
                (tables / name).write_text(text)
        return run(tables, scratch)

    return tampered


def _tables_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".inc", ".mem"))


def _broken_tables(rung: str, folder: Path, run: RunWith) -> Iterator[Mutant]:
    paths = _tables_of(folder)
    for path in (paths[0], paths[len(paths) // 2], paths[-1]):
        lines = path.read_text().splitlines(keepends=True)
        for kind, text in (("missing table", None), ("truncated table", "".join(lines[:-1]))):
            plant = _tampered(folder, {path.name: text}, run)
            yield Mutant(rung, kind, f"{path.name}: {kind}", (REFUSED,), plant)


def _of_no_frames(rung: str, folder: Path, run: RunWith) -> Mutant:
    plant = _tampered(folder, {}, run)
    return Mutant(rung, "no frames", "an empty list of frames", (REFUSED,), plant)


def changed_table(
    folder: Path, change: Change, model: IntegerModel, foldings: Sequence[LayerFolding]
) -> tuple[str, str]:
    """Name and text of the table of `$readmemh` that holds the changed integer.

    All are those of `pipeline.dataflow.operators`.
    """
    folding, layer = foldings[change.layer], model.layers[change.layer]
    index = change.layer
    if change.array == "thresholds":
        channel, level = change.index
        stages = layer.output.bits
        stage = stages - 1 - _twos(level + 1)
        fold, lane = divmod(channel, folding.after)
        name = f"Thresholds_rtl_{index}_lane{lane}_stage{stage}.mem"
        word, shift = fold * 2**stage + ((level + 1) >> (stages - stage)), 0
        bits = _parameter(folder / f"Thresholds_rtl_{index}.v", r"ThresholdBits\((\d+)\)")
    elif change.array == "weights":
        out, tap, channel = change.index
        name, bits = f"DenseMVAU_rtl_{index}_weights.mem", layer.weight_bits
        column = tap * layer.weights.shape[2] + channel
        (neuron, row), (synapse, lane) = divmod(out, folding.pe), divmod(column, folding.simd)
        word = neuron * (layer.weights[0].size // folding.simd) + synapse
        shift = (row * folding.simd + lane) * bits
    else:
        name, (word, lane) = "BiasAdd_rtl_0_bias.mem", divmod(change.index[0], folding.after)
        bits = _parameter(folder / "BiasAdd_rtl_0.v", r"OutBits\((\d+)\)")
        shift = lane * bits
    lines = (folder / name).read_text().splitlines()
    lines[word] = _with_field(lines[word], shift, bits, change)
    return name, "".join(f"{line}\n" for line in lines)


def _parameter(path: Path, pattern: str) -> int:
    """A number in generated text."""
    found = re.search(pattern, path.read_text())
    assert found is not None, f"{path.name} has no {pattern}"
    return int(found[1])


def _twos(number: int) -> int:
    """How often 2 divides a number."""
    return (number & -number).bit_length() - 1


def _with_field(line: str, shift: int, bits: int, change: Change) -> str:
    """A word with another value in one of its fields, which held the old one."""
    mask = (1 << bits) - 1
    word = int(line, 16)
    held = (word >> shift) & mask
    assert held == change.old & mask, f"the table holds {held:x}, not {change.old & mask:x}"
    return f"{word ^ (held << shift) ^ ((change.new & mask) << shift):0{len(line)}x}"


# --- hardware: sources --------------------------------------------------------------------------


SUMS, BOUNDARIES = ("accumulators",), ("boundaries",)
SUMS_OR_REFUSED = (*SUMS, REFUSED)
ANY = ("any", REFUSED)
TIE = "tie rule"


@dataclass(frozen=True)
class SourceFault:
    """Text of a generated folder, replaced once.

    old: a regular expression; where: streams in which it is seen first ("accumulators",
    "boundaries", "any" stand for several), and `REFUSED` where it may also be found before.
    """

    kind: str
    file: str
    old: str
    new: str
    where: tuple[str, ...]


CPP_FAULTS = (
    SourceFault("comparison", "thresholds.hpp", r"<= sum", "< sum", BOUNDARIES),
    SourceFault(
        "comparison", "thresholds.hpp", r"level < Levels", "level + 1 < Levels", BOUNDARIES
    ),
    SourceFault("padding", "sliding_window.hpp", r"tap - Padding", "tap", SUMS_OR_REFUSED),
    SourceFault("padding", "sliding_window.hpp", r"= zeros;", "= kept[0][0];", SUMS),
    SourceFault("state", "sliding_window.hpp", r"output == 0 \|\| ", "", SUMS_OR_REFUSED),
    SourceFault("schedule", "matrix_vector.hpp", r"kept\[synapse\];", "kept[0];", SUMS),
    SourceFault("state", "matrix_vector.hpp", r"synapse == 0 \? 0 : ", "", SUMS),
    SourceFault(
        "signedness",
        "matrix_vector.hpp",
        r"short\(weights(.*)\);",
        r"(short(weights\1) & 15);",
        SUMS,
    ),
    SourceFault(
        "signedness",
        "axis.hpp",
        r"T\(packed.range\((.*)\)\);",
        r"T(ap_uint<ElementBits - 1>(packed.range(\1)));",
        SUMS,
    ),
    SourceFault(
        "accumulator width",
        "matrix_vector.hpp",
        r"Sum\(sums\[row\]\)",
        "Sum(sums[row] << 1) >> 1",
        SUMS,
    ),
    SourceFault("maximum", "max_pool.hpp", r"now > held", "now < held", BOUNDARIES),
    SourceFault("state", "max_pool.hpp", r"tap == 0 \|\| ", "", BOUNDARIES),
    SourceFault(
        "stream order",
        "width_converter.hpp",
        r"wide.lane\[i % Ratio",
        "wide.lane[(Ratio - 1 - i % Ratio)",
        SUMS,
    ),
    SourceFault(
        "stream order",
        "width_converter.hpp",
        r"= wide.lane\[i % Ratio",
        "= wide.lane[(Ratio - 1 - i % Ratio)",
        ANY,
    ),
    SourceFault("bias", "bias.hpp", r"\) \+ int\(", ") - int(", BOUNDARIES),
    SourceFault(TIE, "label_select.hpp", r"logit > best", "logit >= best", ("label",)),
    SourceFault("output", "axis.hpp", r"in.read\(\).lane\[0\]", "in.read().lane[0] + 1", (OUTPUT,)),
    SourceFault("output", "axis.hpp", r"beat.last = 1", "beat.last = 0", (REFUSED,)),
)

UNIT, WINDOW, THRESHOLDS = "matrix_vector_unit.sv", "sliding_window.sv", "thresholds.sv"
HELD_BACK = r"= !out0_V_TVALID \|\| out0_V_TREADY"
RTL_FAULTS = (
    SourceFault(
        "accumulator width",
        UNIT,
        r"\(word_first_q \? '0 : acc_q\) \+ word_q;",
        "acc_t'($signed((AccBits-1)'((word_first_q ? '0 : acc_q) + word_q)));",
        SUMS,
    ),
    SourceFault("state", UNIT, r"word_first_q \? '0 : acc_q", "acc_q", SUMS),
    SourceFault("signedness", UNIT, r"InSigned && x\[InBits-1\]", "1'b0", SUMS),
    SourceFault("signedness", UNIT, r"\$signed\(w\)", "$signed({1'b0, w})", SUMS),
    SourceFault("schedule", UNIT, r"\(last_sf && last_nf\) \? '0", "last_sf ? '0", SUMS),
    SourceFault("schedule", UNIT, r": kept\[sf_q\]", ": kept[0]", SUMS),
    SourceFault("handshake", UNIT, HELD_BACK, "= 1'b1", ANY),
    SourceFault("maximum", "max_pool.sv", r": \(now > held\)", ": (now < held)", BOUNDARIES),
    SourceFault("state", "max_pool.sv", r"tap_q == '0 \|\| larger", "larger", BOUNDARIES),
    SourceFault("handshake", "max_pool.sv", HELD_BACK, "= 1'b1", ANY),
    SourceFault("bias", "bias_add.sv", r"wide \+ bias", "wide - bias", BOUNDARIES),
    SourceFault(TIE, "label_select.sv", r"> best_d\)", ">= best_d)", ("label",)),
    SourceFault("lost words", "stream_fifo.sv", r"count_q != CountBits'\(Stored\)", "1'b1", ANY),
    SourceFault("doubled words", "stream_fifo.sv", r"push && !\(load && empty\);", "push;", ANY),
    SourceFault(
        "padding", "frame_padding.sv", r"\(word_q\) >= Begin", "(word_q) > Begin", SUMS_OR_REFUSED
    ),
    SourceFault("padding", "frame_padding.sv", r": '0;", ": out0_V_TDATA[Bits-1:0];", SUMS),
    SourceFault("handshake", "frame_padding.sv", HELD_BACK, "= 1'b1", ANY),
    SourceFault("window", WINDOW, r"ahead_t'\(NextWindow\)", "ahead_t'(NextTap)", SUMS_OR_REFUSED),
    SourceFault("window", WINDOW, r": way\(NextWindow\)", ": way(NextTap)", SUMS),
    SourceFault("state", WINDOW, r"room_t'\(Depth\);", "'1;", SUMS_OR_REFUSED),
    SourceFault("handshake", WINDOW, HELD_BACK, "= 1'b1", ANY),
    SourceFault("comparison", THRESHOLDS, r"\) >= wide_t", ") > wide_t", BOUNDARIES),
    SourceFault("signedness", THRESHOLDS, r"Signed && x\[InBits-1\]", "1'b0", BOUNDARIES),
    SourceFault("schedule", THRESHOLDS, r"\{folds_q\[s-1\], c", "{fold_q, c", BOUNDARIES),
    SourceFault("handshake", THRESHOLDS, HELD_BACK, "= 1'b1", ANY),
    SourceFault(
        "stream order",
        "width_converter.sv",
        r"\{in0_V_TDATA\[InBits-1:0\], wide\[WideBits-1:InBits\]\}",
        "{wide[WideBits-InBits-1:0], in0_V_TDATA[InBits-1:0]}",
        ANY,
    ),
    SourceFault(
        "stream order",
        "width_converter.sv",
        r"= rest_q\[OutBits-1:0\]",
        "= rest_q[WideBits-1 -: OutBits]",
        ANY,
    ),
    SourceFault("handshake", "width_converter.sv", r"= !wide_valid \|\| wide_ready", "= 1'b1", ANY),
    SourceFault("lost words", "width_converter.sv", r"\(!out0_V_TVALID \|\| last\)", "1'b1", ANY),
    SourceFault(
        "output", "accelerator.sv", r"m_axis_tdata = (\w+);", r"m_axis_tdata = ~\1;", (OUTPUT,)
    ),
)


def _of_source(rung: str, targets: Targets, fault: SourceFault) -> Iterator[Mutant]:
    """A fault in a copy of the folder, whose program is built anew.

    That of the sources as they were has been built before: a stale one would show nothing.
    """
    origin = targets.hls if rung == "cppsim" else targets.rtl
    if not (origin / fault.file).is_file():
        return  # the network has no such part
    assert re.search(fault.old, (origin / fault.file).read_text()), f"{fault.file}: {fault.old}"
    tied = fault.kind == TIE
    targets = targets.tied() if tied else targets

    def run(scratch: Path) -> Sequence[LayerResult]:
        folder = shutil.copytree(origin, scratch / "sources")
        path = folder / fault.file
        path.write_text(re.sub(fault.old, fault.new, path.read_text(), count=1))
        if tied:
            _make_equal(folder, len(targets.model.layers) - 1)
        if rung == "cppsim":
            built = build_cpp_simulator(folder, targets.programs, ("-O1",))
            return _cpp_run(targets, built)(folder, scratch)
        design = read_design(folder)
        if fault.kind == "handshake":  # deep FIFOs would hide it
            design = hesitant(design)
        return _rtl_run(targets, build_simulator(design, targets.programs))(folder, scratch)

    where = tuple(name for part in fault.where for name in targets.streams_called(part))
    yield Mutant(rung, fault.kind, f"{fault.file}: {fault.old} -> {fault.new}", where, run)


def _make_equal(folder: Path, last: int) -> None:
    """Makes all logits equal: no weights, and the first bias for all."""
    weights = (f"layer{last}_weights.inc", f"DenseMVAU_rtl_{last}_weights.mem")
    biases = (f"layer{last}_bias.inc", "BiasAdd_rtl_0_bias.mem")
    for path in (folder / name for name in weights if (folder / name).exists()):
        path.write_text(re.sub(r"-?[0-9a-f]+", lambda x: "0" * len(x[0]), path.read_text()))
    for path in (folder / name for name in biases if (folder / name).exists()):
        first = re.search(r"-?[0-9a-f]+", path.read_text())
        assert first is not None
        path.write_text(re.sub(r"-?[0-9a-f]+", first[0], path.read_text()))
