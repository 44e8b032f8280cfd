"""The hash of the code that a stage runs: found by reading imports, without importing anything."""

import ast
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.atomic import canonical_json, sha256_file, sha256_text

HASHED_OF_CORE = ("atomic", "tools")
"""The rest of `pipeline.core` decides when a stage runs and how it is shown, not what it makes."""


def code_hash(start: Path, root: Path) -> str:
    """The SHA-256 of `start` and of all modules of `root/pipeline` it imports, transitively."""
    files = imported_files(start, root)
    names = {str(file.relative_to(root)) if file != start else "": file for file in files}
    return sha256_text(canonical_json({name: sha256_file(file) for name, file in names.items()}))


def imported_files(start: Path, root: Path) -> set[Path]:
    """`start` and every file of `root/pipeline` that it imports, transitively."""
    found: set[Path] = set()
    todo = [start]
    while todo:
        file = todo.pop()
        if file not in found:
            found.add(file)
            todo.extend(_imports(file, root))
    return found


def _imports(file: Path, root: Path) -> Iterator[Path]:
    """The project's files that the statements of `file` import."""
    for name in _imported_names(ast.parse(file.read_bytes()), _package(file, root)):
        parts = name.split(".")
        if parts[0] != "pipeline" or _only_runs_stages(parts):
            continue
        for length in range(1, len(parts) + 1):
            module = root.joinpath(*parts[:length])
            for candidate in (module / "__init__.py", module.with_suffix(".py")):
                if candidate.is_file():
                    yield candidate


def _imported_names(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """Dotted names that may be modules: `from a import b` gives a.b, which may also be a value."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)
        elif not _is_main_guard(node):
            yield from _imported_names(node, package)


def _is_main_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _only_runs_stages(parts: list[str]) -> bool:
    return parts[1:2] == ["core"] and parts[2:3] not in [[name] for name in HASHED_OF_CORE]


def _package(file: Path, root: Path) -> list[str]:
    return list(file.parent.relative_to(root).parts) if file.is_relative_to(root) else []
