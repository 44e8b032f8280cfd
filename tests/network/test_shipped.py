"""Weights, metrics and certificate in a model's folder, and what guards them."""

import json
from pathlib import Path

import pytest

from pipeline.core.config import load_config
from pipeline.core.errors import UserError
from pipeline.network.frozen import freeze_network
from pipeline.network.shipped import CERTIFICATE, METRICS, SUMS, WEIGHTS, shipped_weights
from pipeline.network.source import load_own_network
from tests.conftest import ROOT
from tests.small import ship_small

CERTIFIED = {"vgg10_w4a4": True, "vgg10_w8a8": False}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ship_small(tmp_path / "model")
    return tmp_path / "model"


def test_what_is_shipped_is_listed_and_accepted(folder: Path) -> None:
    listed = [line.split()[1] for line in (folder / SUMS).read_text().splitlines()]
    assert listed == [CERTIFICATE, METRICS, WEIGHTS]
    assert shipped_weights(folder) == folder / WEIGHTS
    assert json.loads((folder / CERTIFICATE).read_text())["certified"]


@pytest.mark.parametrize("name", [CERTIFICATE, METRICS, WEIGHTS])
def test_a_changed_or_missing_file_is_refused(name: str, folder: Path) -> None:
    file = folder / name
    content = file.read_bytes()
    file.write_bytes(content + b" ")
    with pytest.raises(UserError, match=f"{name} is not the file that {SUMS} lists"):
        shipped_weights(folder)
    file.unlink()
    with pytest.raises(UserError, match=rf"{name} is not the file|no weights to compile"):
        shipped_weights(folder)
    file.write_bytes(content)
    assert shipped_weights(folder).is_file()


def test_a_certificate_that_is_not_listed_is_refused(folder: Path) -> None:
    sums = (folder / SUMS).read_text().splitlines(keepends=True)
    (folder / SUMS).write_text("".join(line for line in sums if CERTIFICATE not in line))
    with pytest.raises(UserError, match=r"certificate\.json is not the file"):
        shipped_weights(folder)


@pytest.mark.parametrize("name", CERTIFIED)
def test_shipped_certificates_are_those_of_the_weights(name: str) -> None:
    folder = ROOT / "models" / name
    config = load_config(folder)
    model = load_own_network(config, shipped_weights(folder))
    _, certificate = freeze_network(model, config.network.frame_length)
    found, shipped = json.loads(certificate.text()), json.loads((folder / CERTIFICATE).read_text())
    assert found["certified"] is shipped["certified"] is CERTIFIED[name]
    # margins and bounds are extended-precision numbers, which other machines may round otherwise
    assert found["conditions"] == shipped["conditions"]
    assert found["moved"]["codes_compared"] == shipped["moved"]["codes_compared"]
    assert [x["channel"] for x in found["moved"]["moved"]] == [
        x["channel"] for x in shipped["moved"]["moved"]
    ]
    for one, other in zip(found["layers"], shipped["layers"], strict=True):
        for field in ("margin", "bound"):
            assert (one.pop(field) or 0) == pytest.approx(other.pop(field) or 0, rel=1e-9)
        assert one == other
