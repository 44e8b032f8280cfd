"""What the pieces of a network take on each engine."""

from __future__ import annotations

from collections.abc import Sequence

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.dataflow.accelerator import fold_where_possible
from pipeline.dataflow.choice import FOLDED, SKIPPING, Option, Piece
from pipeline.dataflow.costs.cost import Cost, summed
from pipeline.dataflow.costs.estimate import estimate
from pipeline.dataflow.costs.zeros import convolution_cost, engine_cost, entrance_cost, exit_cost
from pipeline.dataflow.folding import build_stream_graph
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.dataflow.zeros.convolution import Convolution


def options(
    graph: ModelWrapper, model: IntegerModel, pieces: Sequence[Piece], cycles: int
) -> list[Option]:
    """For a choice at `cycles` a frame; graph: the abstract one, which is folded for that."""
    possible = fold_where_possible(graph, model, cycles)
    streams = build_stream_graph(graph)
    folded = {row.name: row.cost for row in estimate(streams, model.layers, {})}
    return [_option(model, piece, possible, folded) for piece in pieces]


def _option(
    model: IntegerModel, piece: Piece, possible: set[int], folded: dict[str, Cost]
) -> Option:
    own = range(piece.first, piece.last)
    costs, entered, left = {}, Cost(), Cost()
    if piece.plan is not None:
        costs[SKIPPING] = (
            convolution_cost(piece.plan)
            if isinstance(piece.plan, Convolution)
            else engine_cost(piece.plan.shape)
        )
        entered, left = entrance_cost(piece.arrive.positions), exit_cost(piece.plan)
    # operators take one position a beat
    if possible.issuperset(own) and piece.arrive.group == 1:
        costs[FOLDED] = summed(folded[model.layers[i].name] for i in own)
    names = ", ".join(model.layers[i].name for i in own)
    return Option(names, costs, entered, left)
