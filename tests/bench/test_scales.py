"""The study of scales: equal starts, a table of differences, nothing done twice."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.bench import scales
from pipeline.bench.scales import KINDS, Study, key, report, rows, study
from pipeline.core.config import Config
from pipeline.network.trainer import Splits
from tests.network.test_training import CONFIG, TRAIN, VALIDATION, Tones

PLAN = Study(epochs=1, thinning=4, seeds=(1, 2))
SETTINGS = Config.from_dict(
    {"network": CONFIG.network.model_dump(), "train": {"batch_size": 32, "learning_rate": 0.01}}
)


def studied(work: Path) -> dict[str, Any]:
    return study(SETTINGS, Splits(Tones(), TRAIN, VALIDATION), PLAN, work)


def test_every_kind_is_trained_from_the_same_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    starts: list[dict[str, torch.Tensor]] = []
    frames: list[int] = []
    right = scales.train

    def watched(model: torch.nn.Sequential, splits: Splits, *rest: Any) -> Any:
        starts.append({k: v.clone() for k, v in model.state_dict().items() if "weight" in k})
        frames.append(len(splits.train))
        return right(model, splits, *rest)

    monkeypatch.setattr(scales, "train", watched)
    histories = studied(tmp_path)
    assert frames == [len(TRAIN) // 4] * 10
    assert len(KINDS) == 5
    first, other = starts[0], starts[5]
    assert all(torch.equal(v, first[k]) for start in starts[:5] for k, v in start.items())
    assert not torch.equal(first["conv0.weight"], other["conv0.weight"])  # another seed
    assert {kind: len(runs) for kind, runs in histories.items()} == dict.fromkeys(KINDS, 2)
    monkeypatch.setattr(Tones, "frames", None)  # nothing is trained again
    assert studied(tmp_path) == histories


def test_the_table_has_the_difference_to_float(tmp_path: Path) -> None:
    histories = studied(tmp_path)
    table = rows(histories)
    assert [row[0] for row in table] == list(KINDS)
    assert table[0][3] == "+0.0000"
    for row, runs in zip(table, histories.values(), strict=True):
        mean = sum(history[-1].validation_accuracy for history in runs) / 2
        assert row[2] == f"{mean:.4f}"
        assert row[3] == f"{mean - float(table[0][2]):+.4f}"
    written = report(SETTINGS, PLAN, histories)
    assert [len(runs) for runs in written["validation_accuracy"].values()] == [2] * 5


def test_another_setting_is_another_study() -> None:
    """Else the checkpoints of one would be taken for those of the other."""
    slower = SETTINGS.train.model_copy(update={"learning_rate": 0.001})
    other = SETTINGS.model_copy(update={"train": slower})
    keys = {key(SETTINGS, PLAN), key(other, PLAN), key(SETTINGS, Study(2, 4, (1, 2)))}
    assert len(keys) == 3
    assert key(SETTINGS, Study(1, 4, (9,))) == key(
        SETTINGS, PLAN
    )  # seeds have folders of their own
