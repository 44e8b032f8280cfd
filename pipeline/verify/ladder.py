"""What the rungs of the reference ladder have in common: results, their report and their table.

A rung computes the streams of frames that the integer model computes too, and every value is
compared with `==` (DESIGN 4).  Frames go through in chunks, so that any number fits into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.core.errors import VerificationFailed
from pipeline.core.progress import say
from pipeline.core.tables import print_table
from pipeline.dataflow.integer_model import ACCUMULATOR, IntegerModel, Integers, Layer
from pipeline.verify.compare import Difference, LayerResult, compare
from pipeline.verify.subject import Subject

NOTES_SHOWN = 25
"""Lines of a rung that are printed; the report has them all."""
OUTPUT = "output"
"""Name of what leaves the accelerator."""
CHUNK = 32
"""Frames compared at once: some 2 MB of accumulators each."""


@dataclass(frozen=True)
class Run:
    """One simulation of clock cycles: how its ends were held back, and what it took."""

    stalls: str
    frames: int
    cycles: int
    mismatches: int
    seconds: float


@dataclass(frozen=True)
class Rung:
    """One comparison with the integer model.

    rung: name of what was compared; layers: in data order; predicted: (frames,) classes; notes:
    lines for people; runs: simulations of clock cycles, over which `layers` are summed; cycles:
    latency and interval of the one without stalls.
    """

    rung: str
    frames: int
    seconds: float
    layers: tuple[LayerResult, ...]
    predicted: Integers
    notes: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    cycles: Mapping[str, int] | None = None

    @property
    def mismatches(self) -> int:
        return sum(layer.mismatches for layer in self.layers)

    @property
    def first(self) -> Difference | None:
        """The first difference, in data order."""
        return next((x.first for x in self.layers if x.first), None)


def chunks(count: int) -> Iterator[slice]:
    """Slices of `CHUNK` frames."""
    for start in range(0, count, CHUNK):
        yield slice(start, min(start + CHUNK, count))


def compare_streams(
    names: Sequence[str],
    wanted: Mapping[str, Integers],
    found: Mapping[str, Integers],
    first_frame: int = 0,
) -> tuple[LayerResult, ...]:
    """The streams `names`, which are in data order, of the integer model and of a rung.

    Those of `found` may be flat, (frames, values).  Frames are numbered from `first_frame` on.
    Raises VerificationFailed where one was not found: it would go uncompared.
    """
    results = []
    for name in names:
        if name not in found:
            raise VerificationFailed(f"layer {name} was not recorded")
        actual = _shaped(name, found[name], wanted[name])
        results.append(_numbered_from(first_frame, compare(name, wanted[name], actual)))
    return tuple(results)


def _shaped(name: str, found: Integers, wanted: Integers) -> Integers:
    if found.ndim == wanted.ndim:
        return found
    if found.shape[1] * len(wanted) != wanted.size:
        raise VerificationFailed(
            f"layer {name}: expected {wanted[0].size} values a frame, got {found.shape[1]}"
        )
    return found.reshape(len(found), *wanted.shape[1:])


def _numbered_from(first_frame: int, result: LayerResult) -> LayerResult:
    if result.first is None:
        return result
    return replace(result, first=replace(result.first, frame=result.first.frame + first_frame))


def summed(parts: Sequence[Sequence[LayerResult]]) -> tuple[LayerResult, ...]:
    """Results of the same streams on consecutive frames as one."""
    return tuple(
        LayerResult(
            same[0].name,
            sum(x.values for x in same),
            sum(x.mismatches for x in same),
            next((x.first for x in same if x.first), None),
        )
        for same in zip(*parts, strict=True)
    )


def with_output(wanted: Mapping[str, Integers]) -> dict[str, Integers]:
    """The integer model's streams and what leaves the accelerator: the label once more."""
    return {**wanted, OUTPUT: wanted["label"]}


# --- what made a difference ---------------------------------------------------------------------


def explain(model: IntegerModel, codes: Integers, difference: Difference) -> str:
    """The integer model's values that lead to the differing one.

    codes: (1, positions, channels), the frame of `difference`.
    """
    entering = codes
    for layer in model.layers:
        sums = layer.accumulators(entering)
        at, channel = difference.position, difference.channel
        if difference.layer == layer.accumulator_name:
            low = max(at - layer.padding, 0)
            high = min(at - layer.padding + layer.weights.shape[1], entering.shape[1])
            return _window(entering[0, low:high], low, layer.weights[channel])
        if difference.layer == layer.name:  # before the max-pool
            return _activation(layer, sums[0, at : at + 1, channel], channel)
        if difference.layer == layer.boundary:
            window = sums[0, at * layer.pool : (at + 1) * layer.pool, channel]
            return _activation(layer, window, channel)
        entering = layer.pooled(layer.quantized(sums))
    if difference.layer == "input":
        return "made by the input quantizer"
    return f"made from the logits {entering.reshape(-1).tolist()}"


def _activation(layer: Layer, sums: Integers, channel: int) -> str:
    if layer.thresholds is not None:
        rule = f"thresholds {layer.thresholds[channel].tolist()}"
    else:
        rule = f"bias {0 if layer.bias is None else int(layer.bias[channel])}"
    return f"made from the accumulators {sums.tolist()}, {rule}"


def _window(inputs: Integers, start: int, weights: Integers) -> str:
    """Input codes of a sum, position by position, and how many of its weights are not zero."""
    listed = ", ".join(f"position {start + i}: {x.tolist()}" for i, x in enumerate(inputs))
    return f"made from the codes at {listed}, with {int((weights != 0).sum())} weights"


# --- report -------------------------------------------------------------------------------------


def accuracy(predicted: Integers, labels: Integers) -> float | None:
    """Share of the labelled frames (labels >= 0) that are classified rightly; None without any."""
    known = labels >= 0
    return float((predicted[known] == labels[known]).mean()) if known.any() else None


def rung_report(rung: Rung, labels: Integers) -> dict[str, object]:
    """The report of a rung (DESIGN 3), but for what all rungs of a stage have in common.

    labels: (frames,), of the frames that the stage was given.
    """
    labels = labels[: rung.frames]
    return {
        "rung": rung.rung,
        "against": "integer model",
        "frames": rung.frames,
        "mismatches": rung.mismatches,
        "layers": [
            {"name": x.name, "values": x.values, "mismatches": x.mismatches} for x in rung.layers
        ],
        "first_difference": None if rung.first is None else str(rung.first),
        "labelled": int((labels >= 0).sum()),
        "accuracy": accuracy(rung.predicted, labels),
        "notes": list(rung.notes),
        "stalls": [run.stalls for run in rung.runs],
        "runs": [asdict(run) for run in rung.runs],
        "cycles": rung.cycles,
        "seconds": round(rung.seconds, 2),
    }


def print_ladder(rungs: Sequence[Mapping[str, Any]], streams: Sequence[str]) -> None:
    """Reports of rungs: a row a stream, a column a rung, mismatches of values compared."""
    cells = [
        {x["name"]: f"{x['mismatches']:,} / {x['values']:,}" for x in rung["layers"]}
        for rung in rungs
    ]
    rows = [(name, "reference", *(c.get(name, "") for c in cells)) for name in streams]
    heads = ("layer", "integer model", *(rung["rung"] for rung in rungs))
    print_table("mismatches / values", heads, rows)
    for rung in rungs:
        print_runs(rung)
        notes = rung["notes"]
        for note in notes[:NOTES_SHOWN]:
            say(f"{rung['rung']}: {note}")
        if len(notes) > NOTES_SHOWN:
            say(f"{rung['rung']}: {len(notes) - NOTES_SHOWN} more in report.json")


def print_runs(rung: Mapping[str, Any]) -> None:
    """The simulations of clock cycles of a rung's report."""
    if not rung["runs"]:
        return
    columns = ("stalls", "frames", "cycles", "mismatches", "seconds")
    print_table(
        f"{rung['rung']}", columns, [tuple(run[c] for c in columns) for run in rung["runs"]]
    )
    cycles = sum(run["cycles"] for run in rung["runs"])
    seconds = sum(run["seconds"] for run in rung["runs"])
    if rung["cycles"]:
        latency, interval = rung["cycles"]["latency"], rung["cycles"]["interval"]
        say(f"latency {latency} cycles, interval {interval} cycles a frame")
    say(f"simulated at {cycles / seconds / 1e3:.1f} kcycles/s")


def streams_of(rungs: Sequence[Mapping[str, Any]]) -> list[str]:
    """All streams of reports, in data order.

    The rung with most of them has all but two kinds: the input, and codes before a max-pool, which
    have the name of the layer and stand behind its accumulators.
    """
    every = {x["name"] for rung in rungs for x in rung["layers"]}
    longest = max(([x["name"] for x in rung["layers"]] for rung in rungs), key=len)
    order = [name for name in ("input",) if name in every and name not in longest]
    for name in longest:
        order.append(name)
        layer = name.removesuffix(ACCUMULATOR)
        if layer in every and layer not in longest:
            order.append(layer)
    return [*order, *sorted(every - set(order))]


def print_accuracy(rungs: Sequence[Mapping[str, Any]]) -> None:
    """Accuracy on the labelled frames, rung by rung."""
    for rung in rungs:
        if rung["accuracy"] is not None:
            say(
                f"accuracy of {rung['rung']}: {rung['accuracy']:.4f} on {rung['labelled']:,} "
                f"labelled frames"
            )


def require_no_difference(rungs: Sequence[Rung], subject: Subject, replay: str) -> None:
    """Raises VerificationFailed, naming the first rung with a difference, the first one in data
    order, what made it, and the command that shows it again.

    replay: the command, in which "{frame}" stands for the number of the frame.
    """
    for rung in rungs:
        if rung.first is None:
            continue
        frame = rung.first.frame
        made_from = explain(subject.model, subject.codes[frame : frame + 1], rung.first)
        again = replay.replace("{frame}", str(subject.first + frame))
        raise VerificationFailed(
            f"{rung.rung}: {rung.mismatches} values differ; first: {rung.first}\n"
            f"  {made_from}\n  again: {again}"
        )
