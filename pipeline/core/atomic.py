"""Hashes of files and folders, and writes that are there whole or not at all."""

import hashlib
import json
import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.core.paths import PROJECT_ROOT

HASHES = PROJECT_ROOT / "build" / ".hashes"
HUGE = 1 << 30
"""Bytes from which on the hash of a file that is not ours is kept: to read 21 GB takes minutes."""
SETTLED_S = 2.0
"""Age from which on a file's times tell its states apart, on every file system."""

State = tuple[int, ...]


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_once(path: Path) -> str:
    """As `sha256_file`, but an unchanged file is read once in a run, and a huge one only once.

    The system counts a file's `ctime` up with every write to it, and nobody can set it back.
    """
    stat = path.stat()
    state = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    # the clock is coarse: a file written just now could be written again without a new time
    huge = stat.st_size >= HUGE and time.time() - stat.st_ctime > SETTLED_S
    return (_sha256_kept if huge else _sha256_of_state)(path.resolve(), state)


@cache
def _sha256_of_state(path: Path, _state: State) -> str:
    return sha256_file(path)


def _sha256_kept(path: Path, state: State) -> str:
    """The hash that an earlier run left in HASHES for this state, or else a new one."""
    kept = HASHES / sha256_text(canonical_json([str(path), *state]))
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    digest = _sha256_of_state(path, state)
    with suppress(OSError):  # then it is only read again
        write_text(kept, digest)
    return digest


def sha256_text(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Every file below `folder`, sorted; links are files, folders are not listed."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def sha256_tree(path: Path) -> str:
    """The SHA-256 of a file, or of a folder's relative file names and contents."""
    if not path.is_dir():
        return sha256_file(path)
    files = {str(file.relative_to(path)): sha256_file(file) for file in files_below(path)}
    return sha256_text(canonical_json(files))


def canonical_json(value: Any) -> str:
    """JSON that is equal for equal values: sorted keys, no spaces, finite numbers only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: a reader finds the old text or the new one."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text`. Where it fails, as on a full disk, nothing is left beside the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=False, allow_nan=False) + "\n")


def sync(path: Path) -> None:
    """Make a file, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make all files and folders below `folder` survive a power cut."""
    for path in [*files_below(folder), *(p for p in folder.rglob("*") if p.is_dir()), folder]:
        if not path.is_symlink():
            sync(path)
