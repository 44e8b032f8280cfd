"""The trained weights in `models/NAME`: files, certificate, and the sums that guard them."""

import shutil
from pathlib import Path

from pipeline.core.atomic import sha256_file, sync, write_text
from pipeline.core.errors import UserError

WEIGHTS = "weights.pt"
METRICS = "metrics.json"
CERTIFICATE = "certificate.json"
SUMS = "SHA256SUMS"


def ship(source: Path, model_dir: Path, certificate: str) -> list[Path]:
    """Copy weights and metrics from a training's folder into a model's, and write their sums.

    `certificate` is the text of what `freeze` finds about these weights.
    The sums come last: a kill on the way leaves a folder that `shipped_weights` refuses.
    """
    for name in (WEIGHTS, METRICS):
        _copy(source / name, model_dir / name)
    write_text(model_dir / CERTIFICATE, certificate)
    listed = (CERTIFICATE, METRICS, WEIGHTS)
    lines = [f"{sha256_file(model_dir / name)}  {name}\n" for name in listed]
    write_text(model_dir / SUMS, "".join(lines))
    return [model_dir / name for name in (WEIGHTS, METRICS, CERTIFICATE, SUMS)]


def shipped_weights(model_dir: Path) -> Path:
    """The weights file of a model's folder, its sum checked.

    Raises UserError where there are no weights or a file is not the one that was shipped.
    """
    weights = model_dir / WEIGHTS
    if not weights.exists():
        raise UserError(
            "there are no weights to compile",
            str(weights),
            "CHECKPOINT=file.pth for trained weights, or make train ship",
        )
    sums = _read_sums(model_dir / SUMS)
    for name in (WEIGHTS, METRICS, CERTIFICATE):
        file = model_dir / name
        if not file.exists() or sums.get(name) != sha256_file(file):
            raise UserError(
                f"{name} is not the file that {SUMS} lists",
                str(file),
                "git restore the folder, or make train ship",
            )
    return weights


def _read_sums(path: Path) -> dict[str, str]:
    """File name to SHA-256, from the format of `sha256sum`."""
    if not path.exists():
        return {}
    fields = (line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())
    return {name.lstrip("*"): digest for digest, name in fields}


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, temporary)
    sync(temporary)
    temporary.replace(target)
