"""`manifest.json`: what a stage wrote and what it was made from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.core.atomic import (
    canonical_json,
    files_below,
    sha256_file,
    sha256_once,
    sha256_text,
    write_json,
)

NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """Written last into a stage's folder. `files` maps relative names to SHA-256.

    `parts` is what the key is the hash of, kept so that a later run can say what changed.
    """

    stage: str
    key: str
    files: Mapping[str, str]
    parts: Mapping[str, Any]
    seconds: float
    command: str

    @property
    def content(self) -> str:
        """One hash for all files: what enters the keys of the stages that read them."""
        return content_of(self.files)


def content_of(files: Mapping[str, str]) -> str:
    """One hash for named hashes."""
    return sha256_text(canonical_json(dict(files)))


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a stage's folder; None where there is none that can be read."""
    try:
        return Manifest(**json.loads((folder / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into `folder`."""
    write_json(folder / NAME, asdict(manifest))


def hash_files(folder: Path) -> dict[str, str]:
    """Relative name -> SHA-256 of every file below a stage's folder, but for its manifest."""
    files = (file for file in files_below(folder) if file != folder / NAME)
    return {str(file.relative_to(folder)): _hash(file) for file in files}


def changed_file(folder: Path, manifest: Manifest) -> str | None:
    """What is different between the files and the manifest, in words; None where all are equal."""
    there = {str(file.relative_to(folder)): file for file in files_below(folder)}
    there.pop(NAME, None)
    for name, digest in manifest.files.items():
        if name not in there:
            return f"file {name} is missing"
        if _hash(there[name]) != digest:
            return f"file {name} was changed"
    added = sorted(there.keys() - manifest.files.keys())
    return f"file {added[0]} was added" if added else None


def _hash(file: Path) -> str:
    """A link is to something that is not ours, and possibly large."""
    return sha256_once(file) if file.is_symlink() else sha256_file(file)
