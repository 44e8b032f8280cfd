"""Where the project's own folders are."""

import os
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `pipeline`, `hw`, `models`, `data` and `build`."""


def shown(path: Path) -> str:
    """`path` as a person would type it: relative to the current folder where it lies below it."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  (keeps links as they are)
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path)
