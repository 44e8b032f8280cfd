"""Folders that come and go whole: temporaries, replacement, and what a failure leaves."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.atomic import sync
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.tools import ToolError

MAKE_ROOM = "make room there, then give the same command again"
GET_THE_RIGHT = "get the right to read and write it, then give the same command again"
REMEDIES = {
    errno.ENOSPC: MAKE_ROOM,
    errno.EDQUOT: MAKE_ROOM,
    errno.EFBIG: MAKE_ROOM,
    errno.EACCES: GET_THE_RIGHT,
    errno.EROFS: GET_THE_RIGHT,
}
"""What to do about errors of the system that are not bugs of ours."""


@contextmanager
def disk_errors_explained(folder: Path) -> Iterator[None]:
    """Make UserErrors of full disks and of files that may not be read or written.

    `folder` is named where the system does not say which file it was.
    """
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0)
        if remedy is None:
            raise
        what = f"the disk refuses: {error.strerror}"
        raise UserError(what, str(error.filename or folder), remedy) from error


@contextmanager
def temporary(target: Path, purpose: str) -> Iterator[Path]:
    """An empty folder beside `target`, so that it can be renamed to it; removed afterwards."""
    folder = _temporary_name(target, purpose)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(target: Path) -> None:
    """Remove temporaries of runs that were killed. Call with the target's lock held."""
    pattern = re.compile(re.escape(f".{target.name}.") + r"\d+\.(out|scratch|old)")
    if target.parent.is_dir():
        for path in target.parent.iterdir():
            if pattern.fullmatch(path.name):
                shutil.rmtree(path)


def put_in_place(new: Path, target: Path) -> None:
    """Rename `new` to `target`, and delete what was there."""
    old = _temporary_name(target, "old")
    if target.exists():
        target.rename(old)
    new.rename(target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def failure_kept(failed: Path, out: Path, scratch: Path) -> Iterator[None]:
    """Keep in `failed` the report of a failed verification, and the log of a failed tool."""
    try:
        yield
    except VerificationFailed:
        if (out / "report.json").is_file():
            failed.mkdir()
            (out / "report.json").rename(failed / "report.json")
        raise
    except ToolError as error:
        if not (error.log.is_relative_to(out) or error.log.is_relative_to(scratch)):
            raise
        failed.mkdir()
        kept = failed / error.log.name
        error.log.rename(kept)
        raise error.with_log(kept) from error


def _temporary_name(target: Path, purpose: str) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{purpose}")


def put_in_cache(work: Path, place: Path) -> None:
    """Rename a finished folder to its place, unless another run has put the same there first."""
    try:
        work.rename(place)
    except OSError:
        if not place.is_dir():
            raise
