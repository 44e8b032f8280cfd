"""The project for Vivado as files: readable ones against golden copies, all of them by digest."""

from dataclasses import replace

import pytest

from pipeline.boards.board import Board, load_board
from pipeline.boards.hierarchy import LayerCells, layer_cells
from pipeline.boards.vivado import (
    DESCRIPTION,
    DIGEST,
    STEPS,
    digest,
    read_description,
    tcl_list,
    tcl_word,
)
from pipeline.codegen.rtl import DesignLayer
from pipeline.core.errors import UserError
from tests.boards import golden
from tests.boards.small_project import BOARDS, SCRIPTS, TABLES, files_of, target


@pytest.mark.parametrize("name", golden.PROJECT_FILES)
def test_readable_files(name: str) -> None:
    board, _, file = name.partition("/")
    assert files_of(target(board, golden.KINDS[board]))[file].decode() == golden.read(name)


@pytest.mark.parametrize("board", golden.KINDS)
def test_what_is_in_the_folder(board: str) -> None:
    what = target(board, golden.KINDS[board])
    files = files_of(what)
    own = {"settings.tcl", "build.sh", "README.md", DESCRIPTION, DIGEST, "NOTICE", "build.tcl"}
    own |= {f"tcl/{path.name}" for path in SCRIPTS.glob("*.tcl") if path.name != "build.tcl"}
    sources = {f"ip/src/{name}" for name in (*what.sources, *what.tables)}
    assert files.keys() == own | sources | ({"hls/vitis_hls.tcl"} if what.with_hls else set())
    for name in (path.name for path in SCRIPTS.glob("*.tcl") if path.name != "build.tcl"):
        assert files[f"tcl/{name}"] == (SCRIPTS / name).read_bytes()
    if not what.with_hls:
        assert {f"ip/src/{name}" for name in TABLES} <= files.keys()


def test_the_digest_is_of_everything_else() -> None:
    files = files_of(target())
    rest = {name: content for name, content in files.items() if name != DIGEST}
    found = files[DIGEST].decode().strip()
    assert digest(rest) == found
    assert files_of(target()) == files
    for name, content in rest.items():
        assert digest(rest | {name: content + b" "}) != found, name
        assert digest({other: c for other, c in rest.items() if other != name}) != found, name


def test_the_description_reads_back() -> None:
    text = files_of(target())[DESCRIPTION].decode()
    description = read_description(text)
    assert description.layers == (LayerCells("conv0", 1026, ("node0", "node1", "node2")),)
    assert (description.steps, description.board) == (STEPS, "pynq_z2")
    assert description.hash == target().shell.hash


def test_the_script_has_the_steps_in_this_order() -> None:
    text = (SCRIPTS / "build.tcl").read_text()
    assert f"run_steps {{{' '.join(STEPS)}}}" in text


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_gets_its_own_settings(board: str) -> None:
    settings = files_of(target(board))["settings.tcl"].decode()
    assert f"set ::settings(part) {{{load_board(board).part}}}\n" in settings


# --- what cannot be -----------------------------------------------------------------------------


def test_a_clock_that_the_board_does_not_have() -> None:
    with pytest.raises(UserError) as error:
        files_of(target(clock_mhz=251))
    assert error.value.what == "hardware.clock_mhz = 251, but PYNQ-Z2 has 250 at most"
    assert error.value.where == "hw/boards/pynq_z2.toml, vivado.clock_max_mhz"
    assert error.value.remedy == "--set hardware.clock_mhz=100"
    files_of(target(clock_mhz=250))


@pytest.mark.parametrize(("beat", "label", "which"), [(3, 1, "in"), (1, 5, "out")])
def test_a_stream_that_the_dma_cannot_carry(beat: int, label: int, which: str) -> None:
    what = target()
    shell = replace(what.shell, beat_bytes=beat, label_bytes=label)
    with pytest.raises(UserError, match=f"the stream {which} has {max(beat, label)} bytes a beat"):
        files_of(replace(what, shell=shell))


def test_a_board_that_vivado_does_not_build_for() -> None:
    board = Board("ulx3s", "ULX3S", "LFE5U-85F", 83640, 83640, 156, 104, "open")
    with pytest.raises(UserError) as error:
        files_of(target(board))
    assert error.value.what == "ULX3S is not built by Vivado"
    assert error.value.where == "hardware.board (BOARD=), hw/boards/ulx3s.toml"


def test_a_source_without_content_is_a_bug() -> None:
    with pytest.raises(ValueError, match=r"no content for another\.sv"):
        files_of(replace(target(), sources=("another.sv",)))


@pytest.mark.parametrize("text", ["{", "a}b", "back\\slash", "two\nlines"])
def test_words_that_tcl_would_read_differently_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no word for a setting"):
        tcl_word(text)
    with pytest.raises(ValueError, match="no word for a setting"):
        tcl_list([text])


def test_a_list_of_words() -> None:
    assert tcl_list([]) == "{}"
    assert tcl_list(["a.v", "b c"]) == "{a.v {b c}}"
    assert tcl_list(["a", "b", ""]) == "{\n    a\n    b\n    {}\n}"


# --- layers -------------------------------------------------------------------------------------


def test_cells_that_hold_those_of_other_layers_are_no_layer_of_their_own() -> None:
    layers = (
        DesignLayer("ends of run", {"node1": "run"}),
        DesignLayer("a", {"node1/layer0": "run_layer0"}),
        DesignLayer("b", {"node1/layer1": "run_layer1", "node10": "StreamFIFO_rtl_1"}),
    )
    assert layer_cells(layers, {"a": 20}) == (
        LayerCells("a", 20, ("node1/layer0",)),
        LayerCells("b", None, ("node1/layer1", "node10")),
    )
