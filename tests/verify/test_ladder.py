"""What rungs have in common: comparisons in chunks, and what a difference comes with."""

import re

import numpy as np
import pytest

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import Codes
from pipeline.verify.ladder import (
    CHUNK,
    Rung,
    accuracy,
    chunks,
    compare_streams,
    require_no_difference,
    rung_report,
    summed,
    with_output,
)
from pipeline.verify.subject import UNLABELLED, Subject
from tests.random_model import Shape, random_codes, random_model

SHAPES = [
    Shape(6, 3, 1, 2, Codes(0, 15), 4, LayerFolding(1, 1, 1)),
    Shape(4, 5, 0, 1, None, 4, LayerFolding(1, 1, 1), bias=True),
]
MODEL, _ = random_model(10, 2, Codes(-8, 7), SHAPES, seed=1)
CODES = random_codes(MODEL, CHUNK + 5, seed=2)
WANTED = with_output(MODEL.trace(CODES))
NAMES = (*MODEL.hardware_streams, "output")


def found_in_chunks(name: str, where: tuple[int, int, int]) -> Rung:
    """A rung that gets one value wrong, and compares chunk by chunk."""
    wrong = {**WANTED, name: WANTED[name].copy()}
    wrong[name][where] += 1
    parts = [
        compare_streams(
            NAMES,
            {k: v[at] for k, v in WANTED.items()},
            {k: v[at].reshape(len(v[at]), -1) for k, v in wrong.items()},
            at.start,
        )
        for at in chunks(len(CODES))
    ]
    return Rung("rung", len(CODES), 1.0, summed(parts), np.zeros(len(CODES), np.int64))


def message(rung: Rung) -> str:
    subject = Subject(MODEL, CODES.astype(np.float32), CODES, np.zeros(len(CODES)), 100)
    with pytest.raises(VerificationFailed) as raised:
        require_no_difference([rung], subject, "again verify.first={frame}")
    return str(raised.value)


def test_a_difference_in_a_later_chunk_has_its_frame_inputs_and_command() -> None:
    frame = CHUNK + 2
    text = message(found_in_chunks("layer.0.accumulator", (frame, 4, 3)))
    assert f"first: layer layer.0.accumulator, frame {frame}, position 4, channel 3" in text
    for position in (3, 4, 5):
        assert f"position {position}: {CODES[frame, position].tolist()}" in text
    assert f"again verify.first={100 + frame}" in text


def test_a_wrong_code_comes_with_its_accumulators_and_thresholds() -> None:
    text = message(found_in_chunks("layer.0.out", (1, 2, 0)))
    sums = WANTED["layer.0.accumulator"][1, 4:6, 0].tolist()
    thresholds = MODEL.layers[0].thresholds
    assert thresholds is not None
    assert f"made from the accumulators {sums}, thresholds {thresholds[0].tolist()}" in text


def test_a_wrong_label_comes_with_its_logits() -> None:
    text = message(found_in_chunks("output", (0, 0, 0)))
    assert f"made from the logits {WANTED['layer.1.out'][0].reshape(-1).tolist()}" in text


def test_values_and_mismatches_are_summed_over_chunks() -> None:
    rung = found_in_chunks("layer.0.out", (CHUNK, 0, 0))
    assert [x.name for x in rung.layers] == list(NAMES)
    assert [x.values for x in rung.layers] == [WANTED[name].size for name in NAMES]
    assert rung.mismatches == 1
    report = rung_report(rung, np.full(len(CODES), UNLABELLED))
    assert report["mismatches"] == 1
    assert report["accuracy"] is None
    assert re.search(f"frame {CHUNK},", str(report["first_difference"]))


@pytest.mark.parametrize("lost", NAMES)
def test_a_stream_that_was_not_recorded_is_a_failure(lost: str) -> None:
    found = {name: values for name, values in WANTED.items() if name != lost}
    with pytest.raises(VerificationFailed, match=f"layer {re.escape(lost)} was not recorded"):
        compare_streams(NAMES, WANTED, found)


def test_a_stream_of_another_length_is_a_failure() -> None:
    short = {**WANTED, "layer.0.out": WANTED["layer.0.out"].reshape(len(CODES), -1)[:, 1:]}
    with pytest.raises(VerificationFailed, match=r"layer layer\.0\.out: expected 30 values a"):
        compare_streams(NAMES, WANTED, short)


def test_accuracy_counts_labelled_frames_only() -> None:
    predicted = np.array([1, 2, 3, 4])
    assert accuracy(predicted, np.array([1, UNLABELLED, 0, UNLABELLED])) == 0.5
    assert accuracy(predicted, np.full(4, UNLABELLED)) is None
