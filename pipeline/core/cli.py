"""The command line: `python -m pipeline STAGE --model models/NAME [--set section.key=value]`."""

import argparse
import shlex
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from pipeline.core import help as help_texts
from pipeline.core.config import load_config
from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.folders import disk_errors_explained
from pipeline.core.locks import locked
from pipeline.core.paths import PROJECT_ROOT, shown
from pipeline.core.progress import say
from pipeline.core.quiet import quiet_libraries
from pipeline.core.runner import Build, examine, run_command, run_stage
from pipeline.core.stage import Stage
from pipeline.core.tables import print_table
from pipeline.core.tools import is_one_of_many
from pipeline.stages import COMMANDS, STAGES, find_command, find_stage

DEFAULT_MODEL = PROJECT_ROOT / "models" / "vgg10_w4a4_fmp"
EXIT_FAILED, EXIT_USER, EXIT_BUG, EXIT_SIGNAL = 1, 2, 70, 128


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    name: str
    build: Build
    force: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    quiet_libraries()
    action = _together if is_one_of_many() else _main
    return guarded(lambda: action(words), debug="--debug" in words)


def run_alone(stage: Stage) -> int:
    """The command line of one stage's module: like `main`, with the stage given."""
    return main([stage.name, *sys.argv[1:]])


def guarded(action: Callable[[], None], *, debug: bool) -> int:
    """Turn the ways in which `action` may end into exit codes and messages."""
    signal.signal(signal.SIGTERM, _end_on_signal)
    try:
        with disk_errors_explained(PROJECT_ROOT):
            action()
    except UserError as error:
        return _report(str(error), EXIT_USER, debug)
    except VerificationFailed as error:
        return _report(f"verification failed: {error}", EXIT_FAILED, debug)
    except KeyboardInterrupt:
        return _report("\ninterrupted; the same command goes on", EXIT_SIGNAL + 2, debug)
    except Exception:  # noqa: BLE001  (the last stop: shown in full, and an exit code of its own)
        return _report("this is a bug of amcflow: please report it", EXIT_BUG, debug=True)
    return 0


def _together(words: list[str]) -> None:
    """The same under torchrun: the first process leads, the others do what it asks for."""
    from pipeline.network.workers import follow, led  # noqa: PLC0415  (takes seconds to import)

    with led() as leads:
        if leads:
            _main(words)
        else:
            follow(find_stage)


def _main(words: list[str]) -> None:
    parser = _parser()
    options = parser.parse_args(words)
    if options.help:
        parser.epilog = help_texts.of_stage(_known(options.stage)) if options.stage else None
        parser.epilog = parser.epilog or help_texts.overview()
        parser.print_help()
        return
    if options.stage is None:
        raise UserError("no stage is named", "the command line", "python -m pipeline --help")
    name = _known(options.stage)
    config = load_config(options.model, options.set)
    command = shlex.join(["python", "-m", "pipeline", *words])
    build = Build(config, options.model, find_stage, command)
    _perform(Request(name, build, options.force))


def _perform(request: Request) -> None:
    if request.name == "status":
        print_status(request.build)
    elif request.name == "clean":
        clean(request.build)
    elif request.name in COMMANDS:
        run_command(find_command(request.name), request.build)
    else:
        run_stage(request.name, request.build, force=request.force)


def print_status(build: Build) -> None:
    """Print for every stage whether its outputs hold, or why they do not."""
    stale: set[str] = set()
    rows = []
    for name in STAGES:
        stage = build.find(name)
        needs = [needed for needed in stage.needs if needed in stale]
        reason = f"{needs[0]} is not up to date" if needs else _staleness(stage, build)
        there = build.target(stage).exists()
        state = "stale" if there else "missing"
        rows.append((name, state if reason else "up to date", reason, shown(build.target(stage))))
        stale |= {name} if reason else set()
    print_table(f"stages of {build.name}", ["stage", "state", "reason", "folder"], rows)


def _staleness(stage: Stage, build: Build) -> str:
    """Why a stage's outputs do not hold; empty where they do."""
    try:
        return examine(stage, build).reason
    except UserError as error:  # it could not even start
        return f"{error.what} ({error.where})"


def clean(build: Build) -> None:
    """Delete the build folder, once no other run uses it."""
    if build.folder.exists():
        with locked(build.lock_file, f"the build of {build.name}"):
            shutil.rmtree(build.folder)
    say(f"{shown(build.folder)} is gone")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message, "the command line", f"{self.prog} --help")


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m pipeline",
        description="From a PyTorch radio-signal classifier to a verified FPGA accelerator.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("stage", nargs="?", metavar="STAGE", help="what to bring up to date")
    parser.add_argument(
        "--model",
        type=Path,
        default=DEFAULT_MODEL,
        metavar="models/NAME",
        help="the folder of the model (default: models/vgg10_w4a4_fmp)",
    )
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="section.key=value",
        help="use this value in place of the one in model.toml",
    )
    parser.add_argument("--force", action="store_true", help="run STAGE even if it is up to date")
    parser.add_argument("--debug", action="store_true", help="show where an error was raised")
    parser.add_argument("-h", "--help", action="store_true", help="show this text")
    return parser


def _known(name: str) -> str:
    every = [*STAGES, *help_texts.BUILT_IN, *COMMANDS]
    if name in every:
        return name
    near = get_close_matches(name, every, 1)
    remedy = f"python -m pipeline {near[0]}" if near else f"one of {', '.join(every)}"
    raise UserError(f"there is no stage {name!r}", "the command line", remedy)


def _report(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(message, file=sys.stderr)
    return code


def _end_on_signal(number: int, _: object) -> None:
    """End as an exception does, so that tools are stopped and temporaries removed."""
    sys.exit(EXIT_SIGNAL + number)
