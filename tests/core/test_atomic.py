"""Writes that are whole or absent, and hashes that are not made twice."""

import os
from pathlib import Path

import pytest

from pipeline.core import atomic
from pipeline.core.atomic import sha256_file, sha256_once, write_bytes, write_text


def test_a_write_that_fails_leaves_the_earlier_file_alone(tmp_path, monkeypatch):
    file = tmp_path / "a.txt"
    write_text(file, "before")

    def fail(path: Path, content: bytes) -> int:
        with path.open("wb") as half:
            half.write(content[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space"):
        write_bytes(file, b"afterwards")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert file.read_text() == "before"


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files read to be hashed, where every file is huge and settles at once."""
    names: list[str] = []

    def counted(path: Path) -> str:
        names.append(path.name)
        return sha256_file(path)

    monkeypatch.setattr(atomic, "sha256_file", counted)
    monkeypatch.setattr(atomic, "HASHES", tmp_path / "hashes")
    monkeypatch.setattr(atomic, "HUGE", 1)
    monkeypatch.setattr(atomic, "SETTLED_S", -1.0)
    return names


def next_run() -> None:
    """Forget what this process knows."""
    atomic._sha256_of_state.cache_clear()


def test_a_huge_file_is_read_once_in_all_runs(tmp_path, reads):
    file = tmp_path / "set.hdf5"
    file.write_text("frames")
    for _ in range(2):
        next_run()
        assert sha256_once(file) == sha256_file(file)
    assert reads == ["set.hdf5"]


def test_a_huge_file_is_read_again_when_anything_was_written(tmp_path, reads):
    file = tmp_path / "set.hdf5"
    file.write_text("frames")
    before, stat = sha256_once(file), file.stat()
    next_run()
    file.write_text("others")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as copying programs do
    assert sha256_once(file) == sha256_file(file) != before
    assert reads == ["set.hdf5"] * 2


def test_only_huge_files_that_have_settled_are_remembered(tmp_path, reads, monkeypatch):
    small, fresh = tmp_path / "small", tmp_path / "fresh"
    small.write_text("x")
    fresh.write_text("frames")
    monkeypatch.setattr(atomic, "HUGE", 2)
    sha256_once(small)
    monkeypatch.setattr(atomic, "SETTLED_S", 60.0)
    sha256_once(fresh)
    assert sorted(reads) == ["fresh", "small"]
    assert not atomic.HASHES.exists()


def test_a_hash_that_cannot_be_kept_is_made_again(tmp_path, reads):
    file = tmp_path / "set.hdf5"
    file.write_text("frames")
    (tmp_path / "hashes").write_text("a file in the way")
    for _ in range(2):
        next_run()
        assert sha256_once(file) == sha256_file(file)
    assert reads == ["set.hdf5"] * 2
