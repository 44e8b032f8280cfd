"""The AXI shell's files: what they say of the core, and that the hash is of all of it."""

import json
from pathlib import Path

import pytest

from pipeline.codegen.rtl import DesignFiles, TopStream
from pipeline.codegen.shell import core_hash, load_shell, shell, top_text
from pipeline.core.paths import PROJECT_ROOT

KERNELS = PROJECT_ROOT / "hw" / "rtl"
CORE = {
    "accelerator.sv": b"module accelerator; endmodule\n",
    "weights.mem": b"1\n2\n",
    "NOTICE": b"",
}


def stream(bits: int, elements: int, words: int) -> TopStream:
    return TopStream("stream", "stream", bits, True, elements, words, "")


def design(bits: int) -> DesignFiles:
    return DesignFiles(
        "accelerator",
        ("accelerator.sv",),
        {"weights.mem": 2},
        stream(bits, 2, 64),
        (stream(8, 1, 1),),
        {},
        (),
    )


def written(folder: Path, bits: int, core: dict[str, bytes] = CORE) -> Path:
    for name, content in shell(design(bits), core, 24, KERNELS).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(("bits", "beat_bytes"), [(2, 1), (4, 1), (5, 2), (8, 2)])
def test_the_description_is_that_of_the_core(bits: int, beat_bytes: int, tmp_path: Path) -> None:
    found = load_shell(written(tmp_path, bits))
    assert (found.frame_beats, found.beat_bytes, found.label_bytes) == (64, beat_bytes, 1)
    assert found.classes == 24
    assert all((tmp_path / name).is_file() for name in found.sources)
    assert f".InBits({8 * beat_bytes})" in (tmp_path / "amcflow.v").read_text()
    assert f".Hash(256'h{found.hash})" in (tmp_path / "amcflow.v").read_text()


@pytest.mark.parametrize("name", ["accelerator.sv", "weights.mem"])
def test_the_hash_is_of_sources_and_tables(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    changed = CORE | {name: CORE[name].replace(b"1", b"3") + b"\n"}
    before, after = written(tmp_path / "a", 4), written(tmp_path / "b", 4, changed)
    assert load_shell(before).hash != load_shell(after).hash


def test_contents_that_move_between_files_change_the_hash() -> None:
    assert core_hash({"a": b"1", "b": b"2"}) != core_hash({"a": b"12", "b": b""})
    assert core_hash({"a": b"1", "b": b"2"}) == core_hash({"b": b"2", "a": b"1"})


def test_a_fifo_that_the_core_has_is_not_there_twice(tmp_path: Path) -> None:
    assert "stream_fifo.sv" in load_shell(written(tmp_path, 4)).sources
    with_fifo = CORE | {"stream_fifo.sv": b""}
    assert "stream_fifo.sv" not in shell(design(4), with_fifo, 24, KERNELS)


def test_the_top_is_plain_verilog(tmp_path: Path) -> None:
    """Vivado's packager wants that: no logic, no package, no interface."""
    text = top_text(load_shell(written(tmp_path, 4)))
    assert not {"logic", "always_ff", "interface", "import", "typedef"} & set(text.split())


def test_the_description_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = load_shell(written(tmp_path, 4))
    assert json.loads((tmp_path / "shell.json").read_text())["sources"] == list(found.sources)
