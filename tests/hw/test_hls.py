"""The HLS kernels, compiled by g++, against the integer model: odd shapes, and planted faults."""

from pathlib import Path

import pytest

from pipeline.codegen import hls
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.tools import ToolError, ap_types, cxx, run_tool
from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import Codes, IntegerModel
from pipeline.stages.codegen import HLS_KERNELS
from pipeline.verify.compare import LayerResult, require_equal
from pipeline.verify.cppsim import CppSimulator, build_cpp_simulator, simulate_cpp
from pipeline.verify.ladder import OUTPUT, compare_streams, with_output
from tests.random_model import Shape, random_codes, random_model

FRAMES = 5
QUICK = ("-O0",)
"""For programs that run once."""
SIGNED, UNSIGNED = Codes(-8, 7), Codes(0, 15)


def odd() -> tuple[IntegerModel, list[LayerFolding]]:
    """Kernels of 1, 3 and 5, none, one and two zeros around, positions that no pool divides, codes
    of both kinds, widths of words that do not divide each other, a bias, two logits a word."""
    shapes = [
        Shape(6, 3, 1, 2, UNSIGNED, 4, LayerFolding(simd=2, pe=3, after=2)),
        Shape(10, 5, 2, 3, Codes(-3, 4), 3, LayerFolding(simd=3, pe=5, after=1)),
        Shape(4, 1, 0, 1, Codes(0, 1), 2, LayerFolding(simd=10, pe=4, after=4)),
        Shape(6, 3, 0, 1, SIGNED, 8, LayerFolding(simd=2, pe=1, after=1)),
        Shape(6, 3, 0, 1, None, 5, LayerFolding(simd=6, pe=2, after=2), bias=True),
    ]
    return random_model(33, 2, SIGNED, shapes, seed=1)


def dense() -> tuple[IntegerModel, list[LayerFolding]]:
    """Layers that read all positions at once, unsigned input, 300 classes without a bias."""
    shapes = [
        Shape(8, 16, 0, 1, UNSIGNED, 4, LayerFolding(simd=4, pe=8, after=8)),
        Shape(300, 1, 0, 1, None, 4, LayerFolding(simd=8, pe=1, after=1)),
    ]
    return random_model(16, 4, Codes(0, 255), shapes, seed=2)


def tied() -> tuple[IntegerModel, list[LayerFolding]]:
    """All logits are equal where all codes are zero, as the first frame's are."""
    shapes = [Shape(6, 1, 0, 1, None, 4, LayerFolding(simd=2, pe=3, after=3))]
    return random_model(1, 2, SIGNED, shapes, seed=4)


MODELS = {"odd": odd, "dense": dense, "tied": tied}


def write(folder: Path, model: IntegerModel, foldings: list[LayerFolding]) -> Path:
    """The generated folder."""
    folder.mkdir(parents=True)
    kernels = {path.name: path.read_bytes() for path in sorted(HLS_KERNELS.iterdir())}
    for name, content in hls.accelerator(model, foldings, kernels).items():
        (folder / name).write_bytes(content)
    return folder


def simulate(
    simulator: CppSimulator, tables: Path, model: IntegerModel, scratch: Path
) -> tuple[LayerResult, ...]:
    """Every stream compared."""
    codes = random_codes(model, FRAMES, seed=3)
    codes[0] = 0
    scratch.mkdir()
    found = simulate_cpp(simulator, codes, tables=tables, scratch=scratch)
    names = (*model.hardware_streams, OUTPUT)
    return compare_streams(names, with_output(model.trace(codes)), found)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs that tests share."""
    return tmp_path_factory.mktemp("programs")


@pytest.mark.parametrize("name", MODELS)
def test_every_stream_equals_the_integer_models(name: str, tmp_path: Path, cache: Path) -> None:
    model, foldings = MODELS[name]()
    folder = write(tmp_path / "hls", model, foldings)
    results = simulate(build_cpp_simulator(folder, cache), folder, model, tmp_path / "run")
    require_equal(results)
    assert [x.name for x in results] == [*model.hardware_streams, "output"]
    assert all(x.values >= FRAMES for x in results)


def test_tables_inside_the_program_give_the_same(tmp_path: Path, cache: Path) -> None:
    """As synthesis gets them."""
    model, foldings = odd()
    folder = write(tmp_path / "hls", model, foldings)
    simulator = build_cpp_simulator(folder, cache, (*QUICK, "-DTABLES_INSIDE"))
    for table in folder.glob("*.inc"):  # they are not read any more
        table.write_text("nothing")
    require_equal(simulate(simulator, folder, model, tmp_path / "run"))


def test_the_sources_compile_without_a_warning(tmp_path: Path) -> None:
    folder = write(tmp_path / "hls", *odd())
    flags = ["-std=c++17", "-O0", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    flags += ["-Wno-unknown-pragmas"]  # they are Vitis HLS's
    command = [cxx().path, *flags, "-isystem", ap_types(), "-c", "accelerator.cpp"]
    run_tool(command, cwd=folder, log=tmp_path / "log", timeout_s=300)


FAULTS = {
    "tie rule": ("label_select.hpp", "logit > best", "logit >= best", "label"),
    "comparison": ("thresholds.hpp", "<= sum", "< sum", "layer.0.out"),
    "padding": ("sliding_window.hpp", "tap - Padding", "tap", "layer.0.accumulator"),
    "maximum": ("max_pool.hpp", "now > held", "now < held", "layer.0.out"),
    "replay": ("matrix_vector.hpp", "kept[synapse];", "kept[0];", "layer.0.accumulator"),
    "order": ("width_converter.hpp", "i % Ratio", "(Ratio - 1 - i % Ratio)", "layer.0.out"),
    "bias": ("bias.hpp", ") + int(", ") - int(", "layer.4.out"),
    "signedness": ("accelerator.cpp", "read_frame<ap_int", "read_frame<ap_uint", ""),
    "width": ("tables.hpp", "static ap_int<4> layer0", "static ap_int<3> layer0", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_located(fault: str, tmp_path: Path, cache: Path) -> None:
    file, old, new, where = FAULTS[fault]
    model, foldings = tied() if fault == "tie rule" else odd()
    folder = write(tmp_path / "hls", model, foldings)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    if not where:  # C++ itself refuses it
        with pytest.raises(ToolError, match="g\\+\\+ failed"):
            build_cpp_simulator(folder, cache, QUICK)
        return
    results = simulate(build_cpp_simulator(folder, cache, QUICK), folder, model, tmp_path / "run")
    with pytest.raises(VerificationFailed, match=f"first: layer {where}, frame "):
        require_equal(results)


def test_streams_that_do_not_fit_together_are_a_failure(tmp_path: Path, cache: Path) -> None:
    """The last positions stay in a stream, and would come before the next frame's."""
    model, foldings = odd()
    folder = write(tmp_path / "hls", model, foldings)
    top = folder / "accelerator.cpp"
    changed = top.read_text().replace(
        "max_pool<ap_uint<4>, 6, 2, 2, 33>", "max_pool<ap_uint<4>, 6, 2, 2, 32>"
    )
    assert changed != top.read_text()
    top.write_text(changed)
    simulator = build_cpp_simulator(folder, cache, QUICK)
    with pytest.raises(VerificationFailed, match="Hls::stream 'stream5' contains leftover data"):
        simulate(simulator, folder, model, tmp_path / "run")


BROKEN_TABLES = {
    "is missing": None,
    "17 values, 36 expected": lambda text: ",".join(text.split(",")[:17]) + ",",
    "37 values, 36 expected": lambda text: text + "1,\n",
    "value 99 does not fit": lambda text: "99" + text[text.index(",") :],
    "0 values, 36 expected": lambda _: "",
    "1 values, 36 expected": lambda text: text.replace(",", ";", 2).replace(";", ",", 1),
}


@pytest.mark.parametrize("complaint", BROKEN_TABLES)
def test_a_broken_table_is_named(complaint: str, tmp_path: Path, cache: Path) -> None:
    model, foldings = odd()
    folder = write(tmp_path / "hls", model, foldings)
    simulator = build_cpp_simulator(folder, cache)
    table, change = folder / "layer0_weights.inc", BROKEN_TABLES[complaint]
    if change is None:
        table.unlink()
    else:
        table.write_text(change(table.read_text()))
    with pytest.raises(UserError) as raised:
        simulate(simulator, folder, model, tmp_path / "run")
    assert "layer0_weights.inc" in str(raised.value)
    assert complaint in str(raised.value)


def test_no_frames_show_nothing(tmp_path: Path, cache: Path) -> None:
    model, foldings = odd()
    folder = write(tmp_path / "hls", model, foldings)
    simulator = build_cpp_simulator(folder, cache)
    with pytest.raises(VerificationFailed, match="0 frames"):
        simulate_cpp(simulator, random_codes(model, 0, 1), tables=folder, scratch=tmp_path)
