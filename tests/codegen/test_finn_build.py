"""The FINN build: FINN's own graph of the same network, and real FINN takes it up to Vitis HLS."""

import ast
import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames

from pipeline.boards.board import BOARDS, load_board
from pipeline.codegen import finn_build
from pipeline.core.config import Config
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.tools import ToolError, run_tool
from pipeline.dataflow.folding import NodeFolding, fold, report
from pipeline.dataflow.integer_model import Integers
from pipeline.dataflow.lowering import ABSTRACT_DOMAIN, LoweringError
from pipeline.dataflow.reference import run_graph
from pipeline.dataflow.stock_finn import (
    IN_RTL,
    check_stock,
    folding_config,
    specialize_config,
    to_stock,
)
from pipeline.stages import codegen
from pipeline.stages.fold import REPORT
from pipeline.stages.lower import HARDWARE_GRAPH
from pipeline.verify.stimulus import stimulus
from tests.dataflow.lowered import lowered, model_of, prepare

CYCLES = {"power of two": 400, "other": 700}
"""For a frame; few enough for units with several rows and columns."""
PART = "xc7z020clg400-1"
SCRIPT = codegen.FINN_SCRIPT
BUILT = list(CYCLES)
ESTIMATES = "step_generate_estimate_reports"


@pytest.fixture(autouse=True)
def finn(tmp_path: Path) -> None:
    prepare(tmp_path)


@cache
def foldings(kind: str) -> list[NodeFolding]:
    model = model_of(kind)
    folded = fold(lowered(kind).graph, CYCLES[kind], model.channels)
    return report(folded, [layer.name for layer in model.layers])


def stock(kind: str = "power of two") -> ModelWrapper:
    parallelism = {node.name: node.parallelism for node in foldings(kind)}
    return to_stock(lowered(kind).graph, parallelism)


def codes_of(kind: str, frames: int = codegen.FINN_FRAMES) -> Integers:
    model = model_of(kind)
    return model.quantize(stimulus(model, frames, seed=1))


def files(kind: str) -> dict[str, bytes]:
    target = finn_build.Target("Pynq-Z2", 10.0)
    graph, script = stock(kind), SCRIPT.read_bytes()
    model, codes = model_of(kind), codes_of(kind)
    board = load_board("pynq_z2")
    return finn_build.project(graph, model, codes, board=board, target=target, script=script)


def same(found: dict[str, Integers], wanted: dict[str, Integers]) -> bool:
    return bool(found) and all(np.array_equal(v, wanted[name]) for name, v in found.items())


# --- the graph ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BUILT)
def test_finns_own_operators_compute_the_integer_model_at_every_layer(kind: str) -> None:
    model, graph = model_of(kind), stock(kind)
    modules = {type(getCustomOp(node)).__module__ for node in graph.graph.node}
    assert [name for name in modules if not name.startswith("finn.")] == []
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("Pool") == sum(layer.pool > 1 for layer in model.layers)
    assert "MaxPool1D" not in kinds
    found = run_graph(graph, model, codes_of(kind))
    assert set(found) == set(model.streams)
    assert same(found, model.trace(codes_of(kind)))


@pytest.mark.parametrize("kind", BUILT)
def test_every_node_has_the_parallelism_of_fold(kind: str) -> None:
    graph = stock(kind)
    windows = graph.get_nodes_by_op_type("ConvolutionInputGenerator")
    own = [n for n in windows if getCustomOp(n).get_nodeattr("depthwise") == 0]
    by_kind = {k: graph.get_nodes_by_op_type(k) for k in ("FMPadding", "MVAU", "Thresholding")}
    by_kind |= {"ConvolutionInputGenerator": own, "MaxPool1D": graph.get_nodes_by_op_type("Pool")}
    for name, nodes in by_kind.items():
        wanted = [f.parallelism for f in foldings(kind) if f.operator == name]
        pairs = zip(nodes, wanted, strict=True)
        found = [{k: getCustomOp(n).get_nodeattr(k) for k in keys} for n, keys in pairs]
        assert found == wanted, name
    assert any(f.parallelism.get("PE", 1) > 1 for f in foldings(kind))


def test_an_operator_of_ours_is_not_taken_for_finns() -> None:
    """It lives in FINN's own domain."""
    with pytest.raises(LoweringError, match=r"MaxPool1D_0 \(MaxPool1D\) is none of FINN's own"):
        check_stock(lowered().graph)


def other_width(graph: ModelWrapper, pool: Any) -> None:
    getCustomOp(graph.find_producer(pool.input[0])).set_nodeattr("SIMD", 4)
    getCustomOp(pool).set_nodeattr("PE", 2)


def channels_together(graph: ModelWrapper, pool: Any) -> None:
    getCustomOp(graph.find_producer(pool.input[0])).set_nodeattr("depthwise", 0)


@pytest.mark.parametrize("change", [other_width, channels_together])
def test_a_pool_whose_window_sends_something_else_is_found(change: Callable[..., None]) -> None:
    graph = stock()
    change(graph, graph.get_nodes_by_op_type("Pool")[2])
    with pytest.raises(LoweringError, match="node Pool_2: its window does not deliver"):
        check_stock(graph)


def test_a_foreign_node_is_found() -> None:
    graph = stock()
    last = graph.graph.node[-1].output[0]
    graph.graph.node.append(helper.make_node("Relu", [last], ["added"], name="added"))
    with pytest.raises(LoweringError, match=r"node added \(Relu\) is none of FINN's own"):
        check_stock(graph)


# --- its configurations -------------------------------------------------------------------------


def test_the_operators_in_rtl_are_those_that_finn_has_rtl_for() -> None:
    from finn.custom_op.fpgadataflow.rtl import custom_op  # noqa: PLC0415

    used = {node.op_type for kind in BUILT for node in stock(kind).graph.node}
    classes = {name: custom_op.get(f"{name}_rtl") for name in used}
    finns = {k for k, v in classes.items() if v and v.__module__.startswith("finn.")}
    # FINN's addition in RTL is for floating point on Versal devices
    assert finns - {"ElementwiseAdd"} == set(IN_RTL)


def styles_of(graph: ModelWrapper, dsps: int = 220) -> dict[str, str]:
    """The back end of each unit."""
    found = specialize_config(graph, PART, dsps)
    return {k: v["preferred_impl_style"] for k, v in found.items() if k.startswith("MVAU")}


def test_a_unit_that_reads_all_at_once_is_left_to_hls() -> None:
    graph = stock()
    before = styles_of(graph)
    assert set(before.values()) == {"rtl"}
    unit = getCustomOp(graph.get_nodes_by_op_type("MVAU")[8])
    unit.set_nodeattr("SIMD", unit.get_nodeattr("MW"))
    after = styles_of(graph)
    assert {k for k in after if after[k] != before[k]} == {"MVAU_8"}
    folding = folding_config(graph, specialize_config(graph, PART, 220), PART)
    assert {"MVAU_hls_0", "MVAU_rtl_8"} <= folding.keys()
    assert folding["MVAU_hls_0"]["resType"] == "lut"


def test_a_unit_that_finn_cannot_build_in_rtl_is_left_to_hls() -> None:
    """The DSPs of this device do not take the lowest code of a weight."""
    graph = stock()
    unit = graph.get_nodes_by_op_type("MVAU")[3]
    weights = graph.get_initializer(unit.input[1]).copy()
    weights[0, 0] = graph.get_tensor_datatype(unit.input[1]).min()
    graph.set_initializer(unit.input[1], weights)
    assert {k for k, v in styles_of(graph).items() if v == "hls"} == {"MVAU_3"}


def dsps_of(graph: ModelWrapper, names: set[str]) -> int:
    units = {n.name: getCustomOp(n) for n in graph.get_nodes_by_op_type("MVAU")}
    sizes = [(units[n].get_nodeattr("PE"), units[n].get_nodeattr("SIMD")) for n in names]
    return sum(-(-pe // 4) * simd for pe, simd in sizes)


@pytest.mark.parametrize("share", [1.2, 0.7, 0.4, 0])
def test_units_in_rtl_fit_into_the_devices_dsps(share: float) -> None:
    graph = stock()
    all_of_them = dsps_of(graph, set(styles_of(graph)))
    dsps = int(share * all_of_them)
    in_rtl = {k for k, v in styles_of(graph, dsps).items() if v == "rtl"}
    taken = dsps_of(graph, in_rtl)
    assert taken <= 0.9 * dsps
    left_out = set(styles_of(graph)) - in_rtl
    assert bool(left_out) == (share < 1)
    # none of the others would have fitted too
    assert all(taken + dsps_of(graph, {name}) > int(0.9 * dsps) for name in left_out)


def test_boards_are_those_that_finn_knows_with_the_same_part() -> None:
    from finn.util.basic import part_map  # noqa: PLC0415

    ours = {path.stem for path in BOARDS.glob("*.toml")}
    for key in ours & finn_build.BOARDS.keys():
        finns, own = part_map[finn_build.BOARDS[key]], load_board(key).part
        assert finns.lower() == own.lower(), key
    assert "pynq_z2" in ours


def test_an_unknown_board_is_the_users_error() -> None:
    with pytest.raises(UserError, match="FINN has no board 'ulx3s'") as error:
        finn_build.finn_board("ulx3s")
    assert "pynq_z2" in error.value.remedy


def test_the_frames_to_verify_with_are_the_models() -> None:
    written, model = files("power of two"), model_of("power of two")
    codes = np.load(io.BytesIO(written["input.npy"]))
    expected = np.load(io.BytesIO(written["expected_output.npy"]))
    assert codes.shape == (4, model.positions, 1, 2)
    assert (codes.dtype, expected.dtype) == (np.float32, np.float32)
    labels = model.trace(codes.reshape(4, -1, 2).astype(np.int64))["label"]
    assert np.array_equal(expected.reshape(-1), labels.reshape(-1))


# --- in the stage -------------------------------------------------------------------------------


def stage_context(folder: Path, board: str = "pynq_z2", backend: str = "rtl") -> Any:
    """What the codegen stage gets, as far as the FINN build needs it."""
    inputs = {name: folder / name for name in ("lower", "fold")}
    for path in inputs.values():
        path.mkdir()
    lowered().graph.save(str(inputs["lower"] / HARDWARE_GRAPH))
    nodes = [asdict(node) for node in foldings("power of two")]
    (inputs["fold"] / REPORT).write_text(json.dumps({"nodes": nodes}))
    config = Config.from_dict({"hardware": {"board": board, "backend": backend}})
    return SimpleNamespace(config=config, inputs=inputs)


def test_the_stage_writes_what_finn_needs(tmp_path: Path) -> None:
    written = codegen._finn_files(stage_context(tmp_path), model_of("power of two"))
    assert written == files("power of two")


def test_a_board_that_finn_does_not_know_has_no_build_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(finn_build.BOARDS, "pynq_z2")
    model = model_of("power of two")
    assert codegen._finn_files(stage_context(tmp_path), model) == {}
    (tmp_path / "asked").mkdir()
    with pytest.raises(UserError, match="FINN has no board 'pynq_z2'"):
        codegen._finn_files(stage_context(tmp_path / "asked", backend="finn"), model)


@pytest.mark.parametrize("layer", [0, 4, 9])
def test_a_graph_that_is_not_the_integer_model_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: int
) -> None:
    def wrong(graph: ModelWrapper, parallelism: Any) -> ModelWrapper:
        graph = to_stock(graph, parallelism)
        unit = graph.get_nodes_by_op_type("MVAU")[layer]
        values = graph.get_initializer(unit.input[1]).copy()
        values[:, 0] = 1 - values[:, 0]
        graph.set_initializer(unit.input[1], values)
        return graph

    monkeypatch.setattr(codegen, "to_stock", wrong)
    model = model_of("power of two")
    with pytest.raises(VerificationFailed, match=f"layer {model.layers[layer].accumulator_name}"):
        codegen._finn_files(stage_context(tmp_path), model)


# --- real FINN ----------------------------------------------------------------------------------


def real_build(kind: str, root: Path) -> tuple[Path, ToolError]:
    """Run the generated build with the FINN that is installed, and a Vitis HLS that fails."""
    prepare(root)
    project = root / "finn build"
    project.mkdir()
    for name, content in files(kind).items():
        (project / name).write_bytes(content)
    tools = root / "Vivado" / "2022.2" / "bin"
    tools.mkdir(parents=True)
    for name in ("vivado", "vitis_hls"):
        (tools / name).write_text(f"#!/bin/sh\necho {name} was called: $@\nexit 1\n")
        (tools / name).chmod(0o755)
    # FINN's simulator would be looked for in Vivado as soon as FINN is imported
    run = "import pipeline.dataflow.finn_shim, runpy; runpy.run_path('build.py', {}, '__main__')"
    env = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "XILINX_VIVADO": str(tools.parent),
        "PYTHONPATH": str(PROJECT_ROOT),
        "FINN_BUILD_DIR": str(root / "work"),
    }
    # which FINN itself looks for: it then lets errors through
    command = ["/usr/bin/env", "-u", "PYTEST_CURRENT_TEST", sys.executable, "-c", run]
    with pytest.raises(ToolError) as error:
        run_tool(command, cwd=project, log=root / "log", timeout_s=300, env=env)
    return project, error.value


@cache
def built(kind: str) -> tuple[Path, ToolError, str]:
    """The folder of a real build, how it ended, and what it printed."""
    root = Path(_keep.name) / kind.replace(" ", "_")
    root.mkdir()
    project, error = real_build(kind, root)
    return project, error, (root / "log").read_text()


_keep = TemporaryDirectory()


@pytest.mark.slow
@pytest.mark.parametrize("kind", BUILT)
def test_finn_builds_up_to_vitis_hls_and_says_where_it_stopped(kind: str) -> None:
    project, error, printed = built(kind)
    assert error.returncode == 1
    steps = [
        line.split("step: ")[1].split()[0] for line in printed.splitlines() if "step: " in line
    ]
    assert steps[0] == "step_create_dataflow_partition"
    assert steps[-1] == "step_generate_hardware"
    assert ESTIMATES in steps
    last = printed.splitlines()[-1]
    assert "error: FINN stopped in step_generate_hardware: see " in last
    assert "HLS IP Generation failed" in (project / "output" / "build_dataflow.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", BUILT)
def test_finn_takes_every_entry_of_both_configurations(kind: str) -> None:
    project, _, printed = built(kind)
    log = printed + (project / "output" / "build_dataflow.log").read_text()
    assert "Unused HW configurations" not in log
    assert "No HW configuration for nodes" not in log
    assert "automatically be" not in log  # FINN's words where it has to use another back end
    applied = json.loads((project / "output/report/applied_folding_config.json").read_text())
    wanted = json.loads((project / "folding_config.json").read_text())
    for name, attributes in wanted.items():
        assert attributes.items() <= applied[name].items()
    assert applied.keys() == wanted.keys()


@pytest.mark.slow
@pytest.mark.parametrize("kind", BUILT)
def test_finns_estimates_are_folds(kind: str) -> None:
    project, _, _ = built(kind)
    cycles = json.loads((project / "output/report/estimate_layer_cycles.json").read_text())
    graph = stock(kind)
    assert any(node.operator == "MaxPool1D" for node in foldings(kind))
    in_order = iter(cycles.items())
    for node in foldings(kind):
        name, found = next(in_order)
        if node.operator == "MaxPool1D":  # FINN's window repeats channels at the end of a frame
            assert name.startswith("ConvolutionInputGenerator")
            pool, in_pool = next(in_order)
            assert pool.startswith("Pool")
            folds = getattr_of(graph, pool, "Channels") // node.parallelism["PE"]
            kernel = getattr_of(graph, pool, "KernelSize")[0]
            kept = getattr_of(graph, pool, "OutImgDims")[0]
            assert in_pool == kept * kernel * folds  # without the remainder of a frame
            assert 0 < found - node.cycles <= 2 + folds * kernel * kernel
            continue
        assert name.startswith(node.operator)
        wait = 2 if node.operator == "ConvolutionInputGenerator" else 0
        assert found == node.cycles + wait, name
    slowest = max(node.cycles for node in foldings(kind))
    performance = (project / "output/report/estimate_network_performance.json").read_text()
    assert 0 <= json.loads(performance)["max_cycles"] - slowest <= 32


def getattr_of(graph: ModelWrapper, specialized: str, attribute: str) -> Any:
    """An attribute of a pool by its name after specialisation."""
    (node,) = [n for n in graph.graph.node if n.name == specialized.replace("_hls", "")]
    return getCustomOp(node).get_nodeattr(attribute)


def in_python(path: Path) -> ModelWrapper:
    """A specialised graph with abstract operators again, which run in Python."""
    graph = ModelWrapper(str(path))
    for node in graph.graph.node:
        node.op_type = node.op_type.removesuffix("_rtl").removesuffix("_hls")
        node.domain = ABSTRACT_DOMAIN
    return graph.transform(GiveUniqueNodeNames())


@pytest.mark.slow
@pytest.mark.parametrize("kind", BUILT)
@pytest.mark.parametrize("annotated", [True, False])
def test_what_finn_made_of_it_is_still_the_integer_model(kind: str, annotated: bool) -> None:
    """Types narrowed, thresholds clipped, nodes specialised; with the types that FINN gives."""
    project, _, _ = built(kind)
    models = project / "output" / "intermediate_models"
    graph, model = in_python(models / f"{ESTIMATES}.onnx"), model_of(kind)
    codes = codes_of(kind, 6)
    assert same(run_graph(graph, model, codes), model.trace(codes))
    if annotated:
        check_types(graph, model.trace(codes))


def check_types(graph: ModelWrapper, wanted: dict[str, Integers]) -> None:
    """Every unit's output type holds what passes there."""
    sums = [values for name, values in wanted.items() if name.endswith(".accumulator")]
    for node, values in zip(graph.get_nodes_by_op_type("MVAU"), sums, strict=True):
        datatype = graph.get_tensor_datatype(node.output[0])
        assert datatype.min() <= values.min()
        assert values.max() <= datatype.max()


@pytest.mark.slow
def test_finn_verifies_with_our_frames(tmp_path: Path) -> None:
    """As it does with the stitched IP in the place of the Python graph."""
    from finn.util.execution import execute_parent  # noqa: PLC0415

    project, _, _ = built("power of two")
    models = project / "output" / "intermediate_models"
    child = tmp_path / "child.onnx"
    in_python(models / f"{ESTIMATES}.onnx").save(str(child))
    frames, expected = (np.load(project / name) for name in ("input.npy", "expected_output.npy"))
    for frame, label in zip(frames, expected, strict=True):
        found = execute_parent(str(models / "dataflow_parent.onnx"), str(child), frame[None])
        assert found.shape == label[None].shape
        assert np.array_equal(found, label[None])


# --- build.py -----------------------------------------------------------------------------------

STEPS = ["step_streamline", "step_create_dataflow_partition", ESTIMATES, "step_hw_ipgen"]
STEPS += ["step_create_stitched_ip", "step_synthesize_bitfile", "step_make_pynq_driver"]
STAND_IN = """
import json, sys
from pathlib import Path
from types import SimpleNamespace

default_build_dataflow_steps = {steps}


class Names:
    def __getattr__(self, name):
        return name


DataflowOutputType = ShellFlowType = VerificationStepType = Names()


def DataflowBuildConfig(**settings):
    return SimpleNamespace(**settings)


def step(name):
    def run(model, config):
        print(name)
        (Path(config.output_dir) / name).write_text("")
        if name == "{fails}":
            raise ValueError("planted")
        if name == "step_create_stitched_ip":
            folder = Path(config.output_dir) / "verification_output"
            folder.mkdir()
            for result in {results}:
                (folder / ("verify_stitched_ip_rtlsim_0_" + result + ".npy")).touch()
        return model
    run.__name__ = name
    return run


build_dataflow_step_lookup = {{name: step(name) for name in default_build_dataflow_steps}}


def build_dataflow_cfg(model, config):
    Path(config.output_dir).mkdir(exist_ok=True)
    settings = {{k: v for k, v in vars(config).items() if k != "steps"}}
    Path("settings.json").write_text(json.dumps(settings))
    for run in config.steps:
        try:
            run(model, config)
        except Exception as error:
            print(repr(error))
            return -1
        if run.__name__ == config.stop_step:
            break
    return 0
"""


def stand_in(folder: Path, fails: str = "", results: tuple[str, ...] = ("SUCCESS",)) -> Path:
    """A project beside a package `finn` that only notes what it is asked for, with the names that
    other versions of FINN have; the folder of the project."""
    builder = folder / "finn_package" / "finn" / "builder"
    builder.mkdir(parents=True)
    text = STAND_IN.format(steps=STEPS, fails=fails, results=results)
    for module in ("build_dataflow", "build_dataflow_config", "build_dataflow_steps"):
        (builder / f"{module}.py").write_text(text)
    project = folder / "project"
    project.mkdir()
    shutil.copy(SCRIPT, project)
    (project / "target.json").write_text('{"board": "Pynq-Z2", "clock_period_ns": 8.0}')
    return project


def run_build(
    project: Path, *arguments: str, tools: tuple[str, ...] = ("vivado", "vitis_hls")
) -> tuple[int, str]:
    """Exit code and everything printed, with empty programs of these names on PATH."""
    programs = project.parent / "bin"
    programs.mkdir(exist_ok=True)
    for name in tools:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    log = project.parent / "log"
    env = {"PATH": str(programs), "PYTHONPATH": str(project.parent / "finn_package")}
    env["FINN_BUILD_DIR"] = str(project.parent / "work")
    command = [sys.executable, "-S", "build.py", *arguments]
    try:
        run_tool(command, cwd=project, log=log, timeout_s=60, env=env)
        code = 0
    except ToolError as error:
        code = error.returncode or 0
    return code, log.read_text()


def test_everything_is_built_in_finns_order(tmp_path: Path) -> None:
    project = stand_in(tmp_path)
    code, printed = run_build(project)
    assert code == 0, printed
    assert printed.split()[:6] == STEPS[1:]
    settings = json.loads((project / "settings.json").read_text())
    assert settings["board"] == "Pynq-Z2"
    assert settings["synth_clk_period_ns"] == 8.0
    assert settings["verify_steps"] == ["STITCHED_IP_RTLSIM"]
    products = "ESTIMATE_REPORTS STITCHED_IP BITFILE PYNQ_DRIVER DEPLOYMENT_PACKAGE"
    assert settings["generate_outputs"] == products.split()
    named = {name for name, value in settings.items() if str(value).startswith(str(project))}
    assert {"folding_config_file", "specialize_layers_config_file", "output_dir"} <= named


def test_a_build_stops_after_the_step_that_is_named_without_any_tool(tmp_path: Path) -> None:
    project = stand_in(tmp_path)
    code, printed = run_build(project, ESTIMATES, tools=())
    assert code == 0, printed
    assert printed.split()[:2] == STEPS[1:3]
    assert "step_hw_ipgen" not in printed


@pytest.mark.parametrize(
    ("tools", "missing"),
    [
        ((), "vivado and vitis_hls or vitis-run"),
        (("vitis_hls",), "vivado"),
        (("vivado",), "vitis_hls or vitis-run"),
    ],
)
def test_missing_tools_are_named_before_anything_is_built(
    tmp_path: Path, tools: tuple[str, ...], missing: str
) -> None:
    project = stand_in(tmp_path)
    code, printed = run_build(project, tools=tools)
    assert code == 2
    assert printed.splitlines()[0] == f"error: {missing} not found on PATH"
    assert "settings64.sh" in printed
    assert not (project / "output").exists()


def test_newer_vitis_is_taken_too(tmp_path: Path) -> None:
    assert run_build(stand_in(tmp_path), tools=("vivado", "vitis-run"))[0] == 0


def test_a_failing_step_is_named(tmp_path: Path) -> None:
    code, printed = run_build(stand_in(tmp_path, fails="step_hw_ipgen"))
    assert code == 1
    assert "error: FINN stopped in step_hw_ipgen: see " in printed.splitlines()[-1]


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        (("FAIL",), "verify_stitched_ip_rtlsim_0_FAIL.npy"),
        (("SUCCESS", "FAIL"), "verify_stitched_ip_rtlsim_0_FAIL.npy"),
        ((), "nothing was simulated"),
    ],
)
def test_a_difference_that_finn_only_writes_down_ends_the_build(
    tmp_path: Path, results: tuple[str, ...], reason: str
) -> None:
    project = stand_in(tmp_path, results=results)
    code, printed = run_build(project)
    assert code == 1
    assert reason in printed
    assert "FINN stopped in step_check_verification" in printed
    assert "step_synthesize_bitfile" not in printed


def test_an_earlier_verification_does_not_count(tmp_path: Path) -> None:
    project = stand_in(tmp_path)
    stale = project / "output" / "verification_output" / "verify_stitched_ip_rtlsim_1_FAIL.npy"
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert run_build(project)[0] == 0


def test_an_unknown_step_is_refused_with_those_there_are(tmp_path: Path) -> None:
    code, printed = run_build(stand_in(tmp_path), "step_streamline")
    assert code == 2
    assert "error: there is no step 'step_streamline'" in printed
    assert "step_create_dataflow_partition, step_generate_estimate_reports" in printed


def test_a_missing_finn_is_said(tmp_path: Path) -> None:
    project = stand_in(tmp_path)
    shutil.rmtree(tmp_path / "finn_package")
    code, printed = run_build(project)
    assert code == 2
    assert printed.startswith("error: FINN cannot be imported: No module named 'finn'")


def test_the_script_is_nothing_newer_than_the_python_of_a_finn_container() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))
