"""Curves of a training as TensorBoard shows them: `tensorboard --logdir build/NAME/train`."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


def keep_curves(work: Path, out: Path) -> None:
    """Copy the curves of a finished run from its work folder to its outputs."""
    shutil.copytree(work / FOLDER, out / FOLDER)


class Curves:
    """Writes scalars to ``work``/tensorboard, where those of an earlier, killed run stay."""

    def __init__(self, work: Path) -> None:
        self._writer = SummaryWriter(str(work / FOLDER))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve, on disk when it returns."""
        for name, value in values.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._writer.close()
