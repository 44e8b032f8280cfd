"""Weights in files: others' state dicts, and our own resumable checkpoints."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core.atomic import write_bytes
from pipeline.core.errors import UserError

StateDict = Mapping[str, Tensor]


def read_state_dict(path: Path) -> StateDict:
    """The plain state dict in a file, its tensors on the CPU.

    Only tensors are unpickled: a file cannot run code. Raises UserError where the file is missing
    or is not a state dict.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError("there is no such checkpoint", str(path), "check the path") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        raise _not_a_state_dict(path, str(error).partition("\n")[0]) from error
    if not isinstance(state, Mapping) or not state:
        raise _not_a_state_dict(path, f"it holds a {type(state).__name__}")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise _not_a_state_dict(path, f"entry {key!r} is a {type(value).__name__}")
    return state


def load_weights(model: nn.Sequential, path: Path) -> None:
    """Load a state dict file whose keys begin with module names or with their positions.

    Raises UserError naming the file and the key where the file does not fit ``model``.
    """
    load_state_dict_by_position(model, read_state_dict(path), path)


def load_state_dict_by_position(model: nn.Sequential, state: StateDict, path: Path) -> None:
    """Load ``state``, whose keys are positional ("1.weight") or named ("conv0.weight").

    ``path`` is only named in errors. Every key must be there, no other, and with its shape:
    else UserError, and the model is left as it was.
    """
    names = [name for name, _ in model.named_children()]
    named = {_named(key, names): value for key, value in state.items()}
    original = dict(zip(named, state, strict=True))
    # an activation scale is left out of state_dict() until statistics have set it
    expected = {**dict(model.named_parameters()), **model.state_dict()}
    for key in sorted(expected.keys() - named.keys()):
        raise _mismatch(path, f"key {key!r} is missing")
    for key in sorted(named.keys() - expected.keys()):
        raise _mismatch(path, f"key {original[key]!r} is unexpected")
    for key, value in named.items():
        if value.shape != expected[key].shape:
            shapes = f"{tuple(value.shape)}, expected {tuple(expected[key].shape)}"
            raise _mismatch(path, f"key {original[key]!r} ({key}) has shape {shapes}")
    model.load_state_dict(named, strict=True)


def _named(key: str, names: list[str]) -> str:
    """A positional key with the module's name in place of its position; others as they are."""
    position, dot, rest = key.partition(".")
    if not position.isdecimal() or int(position) >= len(names):
        return key
    return names[int(position)] + dot + rest


def save_atomically(value: Any, path: Path) -> None:
    """`torch.save` such that a reader finds the earlier file or the whole new one.

    Through memory, because PyTorch's own writing hides the reason where it fails.
    """
    buffer = io.BytesIO()
    torch.save(value, buffer)
    write_bytes(path, buffer.getvalue())


def _not_a_state_dict(path: Path, reason: str) -> UserError:
    return UserError(
        f"not a PyTorch state dict: {reason}",
        str(path),
        "give a file written by torch.save(model.state_dict(), ...)",
    )


def _mismatch(path: Path, what: str) -> UserError:
    return UserError(
        f"the checkpoint does not fit the network: {what}",
        str(path),
        "choose the --model whose [network] section describes this checkpoint",
    )
