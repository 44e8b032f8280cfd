"""The stages, one thin module each, in the order of the data.

Each module exposes `STAGE` (or `COMMAND`) and runs alone: `python -m pipeline.stages.lower --help`.
"""

from importlib import import_module
from types import ModuleType

from pipeline.core.stage import Command, Stage

STAGES = (
    *("data", "train", "prune"),
    *("freeze", "export", "lower", "fold", "fifos", "codegen"),
    *("verify-cppsim", "verify-rtlsim", "verify", "mutate"),
    *("synth", "verify-netlist", "place"),
    *("vivado-project", "bitstream", "pynq-package", "emulate"),
)
COMMANDS = ("ship", "table", "plots", "demo", "deploy")


def find_stage(name: str) -> Stage:
    """The stage of this name; imports its module."""
    stage = _module(name).STAGE
    assert isinstance(stage, Stage)
    return stage


def find_command(name: str) -> Command:
    """The command of this name; imports its module."""
    command = _module(name).COMMAND
    assert isinstance(command, Command)
    return command


def module_name(name: str) -> str:
    """The name of the module of a stage or command, below this package."""
    return name.replace("-", "_")


def _module(name: str) -> ModuleType:
    return import_module(f"pipeline.stages.{module_name(name)}")
