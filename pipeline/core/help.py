"""The texts of `--help`. Made without importing any stage, so that they come at once."""

import ast
from collections.abc import Iterator

from pipeline.core.config import describe_keys
from pipeline.core.paths import PROJECT_ROOT
from pipeline.stages import COMMANDS, STAGES, module_name

BUILT_IN = {
    "status": "say which stages are up to date, and why the others are not",
    "clean": "delete the build folder of the model",
}


def overview() -> str:
    """All stages in the order of the data, then the commands."""
    stages = {name: declared(name).get("summary", "") for name in STAGES}
    commands = {name: declared(name).get("summary", "") for name in COMMANDS}
    lines = ["stages, in the order of the data:", *_listed(stages)]
    lines += ["", "commands:", *_listed({**BUILT_IN, **commands})]
    return "\n".join([*lines, "", "STAGE --help lists the keys that a stage depends on."])


def of_stage(name: str) -> str:
    """What a stage does and which keys it depends on, with their defaults."""
    found = declared(name)
    lines = [f"{name}: {found.get('summary') or BUILT_IN.get(name, '')}"]
    needs = ", ".join(found.get("needs", ()))
    if needs:
        lines.append(f"runs first, where not up to date: {needs}")
    keys = [line for section in found.get("sections", ()) for line in describe_keys(section)]
    return "\n".join([*lines, *(["", "keys (--set section.key=value):", *keys] if keys else [])])


def declared(name: str) -> dict[str, str]:
    """The literal arguments of `Stage(...)` or `Command(...)` in the module of that name."""
    file = PROJECT_ROOT / "pipeline" / "stages" / f"{module_name(name)}.py"
    if not file.is_file():
        return {}
    calls = (node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call))
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id in ("Stage", "Command"):
            return dict(_literals(call))
    return {}


def _literals(call: ast.Call) -> Iterator[tuple[str, str]]:
    for keyword in call.keywords:
        try:
            yield str(keyword.arg), ast.literal_eval(keyword.value)
        except ValueError:
            continue  # a function, for example


def _listed(texts: dict[str, str]) -> list[str]:
    return [f"  {name:<15} {text}" for name, text in texts.items()]
