"""Code generation: a folder that says all, the same every time, and nothing of this machine."""

import datetime
import json
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.codegen import rtl
from pipeline.codegen.nodes import generate
from pipeline.core.paths import PROJECT_ROOT
from pipeline.dataflow.folding import build_stream_graph, fold
from pipeline.stages.codegen import KERNELS, NOTICE, input_stream
from tests.dataflow.lowered import lowered, model_of, prepare

KINDS = ["power of two", "other"]
MEMORY = re.compile(rb'"([\w./-]+\.mem)"')
PREFIX = re.compile(rb'TablePrefix\("(\w+)"\)')


def streams(kind: str) -> ModelWrapper:
    folded = fold(lowered(kind).graph, 2000, model_of(kind).channels)
    return build_stream_graph(folded)


def generated(kind: str, scratch: Path) -> dict[str, bytes]:
    """What codegen writes, with FINN and its files in `scratch`."""
    scratch.mkdir()
    prepare(scratch)
    model, graph = model_of(kind), streams(kind)
    nodes = list(generate(graph, model.layers))
    return rtl.accelerator(nodes, input_stream(nodes, model), KERNELS, NOTICE.read_bytes())


@cache
def files(kind: str) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        return generated(kind, Path(folder) / "scratch")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_write_the_same_bytes(kind: str, tmp_path: Path) -> None:
    again = generated(kind, tmp_path / "another_folder_with_a_longer_name")
    assert list(again) == list(files(kind))
    assert [name for name, content in again.items() if content != files(kind)[name]] == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_the_folder_speaks_of_this_machine_or_of_today(kind: str) -> None:
    today = datetime.datetime.now(datetime.UTC)
    private = [str(PROJECT_ROOT), str(Path.home()), "/tmp/", "site-packages"]
    private += [today.strftime(form) for form in ("%Y-%m-%d", "%b %d", "%d %b", "%H:%M:")]
    for name, content in files(kind).items():
        assert [word for word in private if word.encode() in content] == [], name


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_that_is_named_is_there(kind: str) -> None:
    listed = files(kind)["files.f"].decode().split()
    assert len(set(listed)) == len(listed)
    assert set(listed) <= files(kind).keys()
    assert listed[-1] == "accelerator.sv"
    tables = {name for name in files(kind) if name.endswith(".mem")}
    others = files(kind).keys() - set(listed) - tables
    assert others == {"files.f", "design.json", "NOTICE"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_that_the_rtl_reads_is_there(kind: str) -> None:
    model, written = model_of(kind), files(kind)
    tables = {name for name in written if name.endswith(".mem")}
    assert set(json.loads(written["design.json"])["tables"]) == tables
    wrappers = [written[name] for name in written if "_rtl_" in name and name.endswith(".v")]
    read = [name.decode() for text in wrappers for name in MEMORY.findall(text)]
    biases = sum(layer.bias is not None for layer in model.layers)
    assert len(set(read)) == len(read) == len(model.layers) + biases
    thresholds = [text for text in wrappers if PREFIX.search(text)]
    assert len(thresholds) == len(model.layers) - 1
    for text in thresholds:
        (prefix,), lanes = PREFIX.findall(text), parameter(text, "Pe")
        names = f"{prefix.decode()}_lane{{}}_stage{{}}.mem"
        stages = parameter(text, "Stages")
        read += [names.format(lane, stage) for lane in range(lanes) for stage in range(stages)]
    assert set(read) == tables


def parameter(text: bytes, name: str) -> int:
    """What a wrapper sets a parameter of its kernel to."""
    (value,) = re.findall(rb"\.%s\((\d+)\)" % name.encode(), text)
    return int(value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_that_is_instantiated_is_defined_once(kind: str) -> None:
    sources = [files(kind)[name] for name in files(kind)["files.f"].decode().split()]
    defined = [m for text in sources for m in re.findall(rb"^\s*module\s+(\w+)", text, re.M)]
    assert len(set(defined)) == len(defined)
    instances = re.findall(rb"^  (\w+) node\d+ \(", files(kind)["accelerator.sv"], re.M)
    assert len(instances) == len(json.loads(files(kind)["design.json"])["streams"])
    assert set(instances) <= set(defined)


@pytest.mark.parametrize("kind", KINDS)
def test_all_sources_are_kernels_as_they_are_wrappers_of_them_and_the_top(kind: str) -> None:
    """No hardware of others: what is in the folder is from `hw/rtl` or written here."""
    kernels = {path.name: path.read_bytes() for path in KERNELS.glob("*.sv")}
    for name in files(kind)["files.f"].decode().split()[:-1]:
        content = files(kind)[name]
        if name in kernels:
            assert content == kernels[name]
        else:
            (module,) = re.findall(rb"^  (\w+) #\($", content, re.M)
            assert f"{module.decode()}.sv" in kernels


def test_the_notice_goes_with_the_sources() -> None:
    assert files("power of two")["NOTICE"] == NOTICE.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_is_read_back(kind: str, tmp_path: Path) -> None:
    (tmp_path / "design.json").write_bytes(files(kind)["design.json"])
    design = rtl.load_design(tmp_path)
    assert list(design.sources) == files(kind)["files.f"].decode().split()
    named = {s.stream: s for s in design.streams if s.stream}
    model = model_of(kind)
    wanted = model.trace(np.zeros((1, model.positions, 2), np.int64))
    # where no bias follows, the last accumulators are the logits
    wanted = {k: v for k, v in wanted.items() if k in named or k != "dense3.accumulator"}
    assert list(named) == list(wanted)
    for name, stream in named.items():
        assert stream.words * stream.elements == wanted[name].size
    assert (design.input.words, design.input.elements, design.input.bits) == (model.positions, 2, 4)


def test_two_files_of_one_name_are_refused() -> None:
    kept: dict[str, bytes] = {}
    rtl._add(kept, "a.v", b"one")
    rtl._add(kept, "a.v", b"one")
    with pytest.raises(ValueError, match=r"two different files would be called a\.v"):
        rtl._add(kept, "a.v", b"other")


def test_another_weight_is_another_table() -> None:
    """The comparison of two runs would see a single bit."""
    graph = lowered("power of two").graph
    unit = graph.get_nodes_by_op_type("MVAU")[3]
    values = graph.get_initializer(unit.input[1]).copy()
    values[0, 0] = 1 - values[0, 0]
    graph.set_initializer(unit.input[1], values)
    stream_graph = build_stream_graph(fold(graph, 2000, 2))
    node = stream_graph.get_nodes_by_op_type("DenseMVAU_rtl")[3]
    (table,) = getCustomOp(node).kernel(stream_graph).tables.items()
    assert table[1].encode() != files("power of two")[table[0]]
