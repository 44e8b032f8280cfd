"""One run at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.core.paths import shown
from pipeline.core.progress import say


@contextmanager
def locked(lock_file: Path, what: str) -> Iterator[None]:
    """Hold `lock_file` while the block runs; wait for another process that does, saying which.

    The kernel frees the lock when its holder ends, however it ends.
    """
    with _acquired(lock_file, what) as file:
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def _acquired(lock_file: Path, what: str) -> IO[str]:
    while True:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        file = lock_file.open("a+")
        try:
            _wait_for(file, what)
            if _is_current(file, lock_file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # `clean` deleted the folder while we waited: lock the new file


def _wait_for(file: IO[str], what: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        say(f"waiting for process {holder}, which is using {what} ({shown(Path(file.name))})")
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_current(file: IO[str], lock_file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), lock_file.stat())
    except FileNotFoundError:
        return False
