"""What faults are planted in, and with what it is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from torch import nn

from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import IntegerModel, Integers
from pipeline.network.chain import Chain
from pipeline.network.frozen import freeze_graph
from pipeline.verify import pytorch
from pipeline.verify.compare import LayerResult
from pipeline.verify.ladder import OUTPUT, compare_streams, with_output
from pipeline.verify.mutants.runs import Runs
from pipeline.verify.mutation import Change, random_changes
from pipeline.verify.subject import Subject


@dataclass(frozen=True)
class Targets:
    """What faults are planted in: a network at every stage, and where programs are kept.

    network, chain: rung 1; exported: the QONNX graph; graph: FINN's hardware graph; foldings: of
    the C++; folded: of the RTL, by the number of the layer, in data order; runs: its other layers;
    hls, rtl: folders; each: random places a table; seed: of those; sources: whether faults are
    planted in C++ and RTL, too.
    """

    subject: Subject
    network: nn.Sequential
    chain: Chain
    exported: ModelWrapper
    graph: ModelWrapper
    foldings: Sequence[LayerFolding]
    folded: Mapping[int, LayerFolding]
    runs: Runs
    hls: Path
    rtl: Path
    programs: Path
    each: int
    seed: int
    sources: bool

    @property
    def model(self) -> IntegerModel:
        return self.subject.model

    @cached_property
    def streams(self) -> dict[str, Integers]:
        """The integer model's, of all frames, and what leaves."""
        return with_output(self.model.trace(self.subject.codes))

    def boundaries(
        self, found: Mapping[str, Integers], entering: Integers
    ) -> Sequence[LayerResult]:
        """The comparison of a rung without accumulators."""
        wanted = {"input": self.subject.codes, **self.streams}
        names = ("input", *self.model.boundaries)
        return compare_streams(names, wanted, {"input": entering, **found})

    def hardware(self, found: Mapping[str, Integers]) -> Sequence[LayerResult]:
        """The comparison of a rung with all streams."""
        return self.compared(self.model.hardware_streams, found)

    def compared(
        self, names: Iterable[str], found: Mapping[str, Integers]
    ) -> Sequence[LayerResult]:
        """The comparison of these streams, and of what leaves."""
        return compare_streams((*names, OUTPUT), self.streams, found)

    def first_boundary(self, other: IntegerModel) -> tuple[str, ...]:
        """The first, in data order, at which another model has other codes; none if it has not."""
        results = compare_streams(
            self.model.boundaries, self.streams, other.trace(self.subject.codes)
        )
        return tuple(result.name for result in results if result.first is not None)[:1]

    def changes(self) -> Iterator[tuple[Change, Callable[[], str]]]:
        """Random changes of single integers, each with its argument."""
        for change in random_changes(self.model, self.each, self.seed):
            yield change, partial(change.argument, self.model, self.streams)

    def same_codes(self, faulty: Chain) -> str:
        """The argument for a network that has other parameters, but the same integers."""
        theirs = freeze_graph(faulty)[0].model.trace(self.subject.codes)
        names = zip(self.model.boundaries, list(theirs)[1::2], strict=False)
        if any((theirs[its] != self.streams[ours]).any() for ours, its in names):
            return ""
        return "frozen to integers, it has the same codes in all frames"

    def half_up(self, _: Path) -> Sequence[LayerResult]:
        """The input's codes, rounded as FINN would."""
        model, frames = self.model, self.subject.frames
        steps = np.floor(frames / np.float32(model.input_scale) + np.float32(0.5))
        codes = np.clip(steps, model.input.low, model.input.high).astype(np.int64)
        entering = pytorch.input_codes(self.network, self.chain, frames)
        return compare_streams(("input",), {"input": entering}, {"input": codes})

    def without_frames(self) -> Targets:
        """The same, with nothing to run."""
        subject = self.subject
        empty = replace(subject, frames=subject.frames[:0], codes=subject.codes[:0])
        return replace(self, subject=empty)

    def tied(self) -> Targets:
        """The same, with a model all of whose logits are equal."""
        *layers, last = self.model.layers
        bias = None if last.bias is None else np.full_like(last.bias, last.bias[0])
        equal = replace(last, weights=np.zeros_like(last.weights), bias=bias)
        model = replace(self.model, layers=(*layers, equal))
        return replace(self, subject=replace(self.subject, model=model))

    def streams_called(self, where: str) -> tuple[str, ...]:
        """The streams that a `SourceFault` means."""
        names = (*self.model.hardware_streams, OUTPUT)
        if where == "accumulators":
            return tuple(name for name in names if name.endswith(".accumulator"))
        if where == "boundaries":
            return self.model.boundaries
        return names if where == "any" else (where,)  # one of them, or `REFUSED`
