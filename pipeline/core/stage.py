"""What a stage declares, and what it is given when it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.config import Config


@dataclass(frozen=True)
class StageContext:
    """What `run` gets. It writes its declared outputs to `out` and nothing anywhere else.

    `inputs` maps each needed stage, and each used one that exists, to its folder. `scratch` is
    deleted afterwards. `work` survives a kill, for checkpoints of long stages: the next run with
    the same key finds it as it was; it is deleted after success. `cache` survives success too, for
    every key: name an entry by the hash of all it was made from, and rename it into place whole.
    """

    config: Config
    model_dir: Path
    out: Path
    inputs: Mapping[str, Path]
    scratch: Path
    work: Path
    cache: Path


@dataclass(frozen=True)
class CommandContext:
    """What the `run` of a command gets: like a stage's, with the build's folder as its place."""

    config: Config
    model_dir: Path
    inputs: Mapping[str, Path]
    build: Path


def no_check(_: Path) -> None:
    """The outputs have no invariant beyond being there."""


def no_sources(_: Config) -> Mapping[str, Path]:
    """Nothing outside the project enters the key."""
    return {}


def show_nothing(_: Path) -> None:
    """There is no report to print."""


@dataclass(frozen=True)
class Stage:
    """A step from declared inputs to exactly the declared outputs, in `build/<build name>/<name>`.

    name      as typed: "codegen"; its module is `pipeline.stages.<name with - as _>`
    summary   one line for `--help` (a literal, since help is printed without importing stages)
    sections  of the configuration that enter the key
    needs     stages whose outputs it reads: brought up to date first
    outputs   exactly these files; an entry that ends in "/" is a folder with any content
    run       writes the outputs; a plain function of the stage's module
    check     raises where the outputs break their invariant; gets their folder
    version   set for stages that cost hours: bumped by hand, in place of the hash of the code of
              `run`'s module and of every module of `pipeline` that it imports, directly or not
    sources   external files or folders that enter the key by their contents
    folder    the target, relative to the project's root, where it is not the one above
    uses      stages whose outputs it takes where they exist, without running them
    model_files  files of the model's folder that enter the key where they exist
    show      prints the report of earlier outputs, when the stage asked for is up to date
    """

    name: str
    summary: str
    sections: tuple[str, ...]
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    run: Callable[[StageContext], None]
    check: Callable[[Path], None] = no_check
    version: int | None = None
    sources: Callable[[Config], Mapping[str, Path]] = no_sources
    folder: Callable[[Config], Path] | None = None
    uses: tuple[str, ...] = ()
    model_files: tuple[str, ...] = ()
    show: Callable[[Path], None] = show_nothing


@dataclass(frozen=True)
class Command:
    """A command that runs after some stages and has no outputs to keep: `make ship`.

    It takes the outputs of the stages it `uses` where they exist, without running them.

    Its module exposes it as `COMMAND`.
    """

    name: str
    summary: str
    needs: tuple[str, ...]
    run: Callable[[CommandContext], None]
    uses: tuple[str, ...] = ()
