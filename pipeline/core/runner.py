"""Runs stages: each when something it depends on has changed, each result whole or not at all."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.core.atomic import files_below, sync_tree
from pipeline.core.config import Config
from pipeline.core.errors import VerificationFailed
from pipeline.core.folders import (
    disk_errors_explained,
    failure_kept,
    put_in_place,
    remove_leftovers,
    temporary,
)
from pipeline.core.keys import difference, key_of, key_parts, source_hash
from pipeline.core.locks import locked
from pipeline.core.manifest import (
    NAME,
    Manifest,
    changed_file,
    content_of,
    hash_files,
    read_manifest,
    write_manifest,
)
from pipeline.core.paths import PROJECT_ROOT, shown
from pipeline.core.progress import say
from pipeline.core.stage import Command, CommandContext, Stage, StageContext

__all__ = [
    "Build",
    "Command",
    "CommandContext",
    "Stage",
    "StageContext",
    "run_command",
    "run_stage",
]

KEY_DIGITS = 16


class BrokenStageError(Exception):
    """A stage that did not keep its declaration: a bug of ours."""


@dataclass(frozen=True)
class Build:
    """One model with one configuration, and the stages to run on it.

    `find` gives a stage by its name; `command` is noted in manifests.
    """

    config: Config
    model_dir: Path
    find: Callable[[str], Stage]
    command: str = ""
    root: Path = PROJECT_ROOT

    @cached_property
    def name(self) -> str:
        """The model's name; for a network of somebody else, with the hash of its file."""
        export = self.config.export
        foreign = export.checkpoint or export.qonnx
        own = self.model_dir.resolve().name
        if not foreign:
            return own
        key = "export.checkpoint" if export.checkpoint else "export.qonnx"
        return f"{own}-{source_hash(Path(foreign), f'the file of {key}')[:8]}"

    @property
    def folder(self) -> Path:
        """Where the stages' folders are."""
        return self.root / "build" / self.name

    @property
    def lock_file(self) -> Path:
        """Held by a run in this build folder."""
        return self.folder / ".lock"

    def target(self, stage: Stage) -> Path:
        """The folder of a stage's outputs."""
        if stage.folder is not None:
            return self.root / stage.folder(self.config)
        return self.folder / stage.name

    def work(self, stage: Stage) -> Path:
        """The folder that holds a stage's resumable work, one folder a key."""
        return self.folder / ".work" / stage.name

    def cache(self, stage: Stage) -> Path:
        """The folder of what a stage keeps between runs, whatever their keys."""
        return self.folder / ".cache" / stage.name

    def failed(self, stage: Stage) -> Path:
        """Where the report and the log of a failed run go."""
        return self.folder / f"{stage.name}.failed"


@dataclass(frozen=True)
class Verdict:
    """Whether a stage's outputs hold: `reason` says why not, and is empty where they do."""

    reason: str
    parts: Mapping[str, Any]
    inputs: Mapping[str, Path]


def run_stage(name: str, build: Build, *, force: bool = False) -> Path:
    """Bring a stage and all it needs up to date; `force` rebuilds the stage itself in any case.

    Returns the folder of its outputs.
    """
    stage = build.find(name)
    with locked(build.lock_file, f"the build of {build.name}"):
        for needed in in_order(stage.needs, build.find):
            _update(needed, build, force=False)
        if not _update(stage, build, force=force):
            stage.show(build.target(stage))
    return build.target(stage)


def run_command(command: Command, build: Build) -> None:
    """Bring what a command needs up to date, then run it; one that takes nothing waits for none."""
    takes_nothing = not (command.needs or command.uses)
    held = nullcontext() if takes_nothing else locked(build.lock_file, f"the build of {build.name}")
    with held:
        for needed in in_order(command.needs, build.find):
            _update(needed, build, force=False)
        inputs = {name: build.target(build.find(name)) for name in command.needs}
        used = {name: build.folder / name for name in command.uses}
        inputs |= {name: folder for name, folder in used.items() if (folder / NAME).is_file()}
        command.run(CommandContext(build.config, build.model_dir, inputs, build.folder))


def in_order(names: tuple[str, ...], find: Callable[[str], Stage]) -> list[Stage]:
    """The stages of these names and all that they need, each after its own needs."""
    order: dict[str, Stage] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise BrokenStageError(f"stages need each other: {' -> '.join([*path, name])}")
        stage = find(name)
        for needed in stage.needs:
            visit(needed, (*path, name))
        order[name] = stage

    for name in names:
        visit(name, ())
    return list(order.values())


def examine(stage: Stage, build: Build) -> Verdict:
    """Whether a stage's outputs hold, given that those of the stages it needs do."""
    target = build.target(stage)
    inputs, contents = _inputs(stage, build)
    parts = key_parts(stage, build.config, build.model_dir, contents)
    manifest = read_manifest(target)
    if manifest is None:
        reason = "its manifest cannot be read" if target.exists() else "no earlier result"
    elif manifest.key != key_of(parts):
        reason = difference(manifest.parts, parts)
    else:
        reason = changed_file(target, manifest) or ""
    return Verdict(reason, parts, inputs)


def _inputs(stage: Stage, build: Build) -> tuple[dict[str, Path], dict[str, str]]:
    """The folders that a stage reads, and the hashes of their contents."""
    inputs = {name: build.target(build.find(name)) for name in stage.needs}
    contents = {}
    for name, folder in inputs.items():
        manifest = read_manifest(folder)
        contents[name] = manifest.content if manifest else "missing"
    for name in stage.uses:
        folder = build.folder / name
        if (folder / NAME).is_file():
            inputs[name] = folder
            contents[name] = content_of(hash_files(folder))
    return inputs, contents


def _update(stage: Stage, build: Build, *, force: bool) -> bool:
    """Rebuild a stage where that is called for; whether it was."""
    target = build.target(stage)
    with disk_errors_explained(target), ExitStack() as locks:
        if stage.folder is not None:  # other builds may share it
            locks.enter_context(locked(target.with_name(f".{target.name}.lock"), shown(target)))
        remove_leftovers(target)
        verdict = examine(stage, build)
        reason = "forced" if force else verdict.reason
        if not reason:
            say(f"{stage.name:<14} up to date")
            return False
        say(f"{stage.name:<14} running ... ({reason})")
        if force:
            shutil.rmtree(build.work(stage), ignore_errors=True)
        seconds = _rebuild(stage, build, verdict)
        say(f"{stage.name:<14} done in {seconds:.1f} s -> {shown(target)}")
    return True


def _rebuild(stage: Stage, build: Build, verdict: Verdict) -> float:
    """Run a stage and put its outputs in place of the earlier ones; the seconds it took."""
    started = time.monotonic()
    key = key_of(verdict.parts)
    target, failed = build.target(stage), build.failed(stage)
    shutil.rmtree(failed, ignore_errors=True)
    with temporary(target, "out") as out, temporary(target, "scratch") as scratch:
        work, cache = build.work(stage) / key[:KEY_DIGITS], build.cache(stage)
        work.mkdir(parents=True, exist_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        context = StageContext(
            build.config, build.model_dir, out, verdict.inputs, scratch, work, cache
        )
        with failure_kept(failed, out, scratch), _invalidated_on_failure(target):
            stage.run(context)
            _check_declaration(stage, out)
            stage.check(out)
        seconds = round(time.monotonic() - started, 3)
        files = hash_files(out)
        write_manifest(out, Manifest(stage.name, key, files, verdict.parts, seconds, build.command))
        sync_tree(out)
        put_in_place(out, target)
    shutil.rmtree(build.work(stage), ignore_errors=True)
    return seconds


@contextmanager
def _invalidated_on_failure(target: Path) -> Iterator[None]:
    """A verification that failed now does not count as passed because it once did."""
    try:
        yield
    except VerificationFailed:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _check_declaration(stage: Stage, out: Path) -> None:
    """Exactly the declared outputs are there: nothing missing, nothing unexpected."""
    folders = tuple(name for name in stage.outputs if name.endswith("/"))
    names = {str(file.relative_to(out)) for file in files_below(out)}
    missing = {name for name in stage.outputs if name not in names} - set(folders)
    missing |= {name for name in folders if not (out / name).is_dir()}
    unexpected = {name for name in names if not name.startswith(folders)} - set(stage.outputs)
    if missing or unexpected:
        faults = [f"did not write {name}" for name in sorted(missing)]
        faults += [f"wrote {name}, which it does not declare" for name in sorted(unexpected)]
        raise BrokenStageError(f"stage {stage.name} {'; '.join(faults)}")
