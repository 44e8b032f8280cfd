"""The small networks on their way through the passes, lowered once for all tests of a file."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.core.quiet import quiet_libraries
from pipeline.core.tools import prepare_finn
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.dataflow.lowering import PASSES, Lowering, lower
from pipeline.network.brevitas_reader import read_brevitas
from pipeline.network.freezing import float32_codes, float64_codes, freeze_chain
from tests.network.exported import POWER_OF_TWO, graph, network
from tests.small import LENGTH


def prepare(folder: Path) -> None:
    """FINN's own folder, and its silence."""
    prepare_finn(folder / "finn")
    quiet_libraries()


@cache
def model_of(kind: str) -> IntegerModel:
    chain = read_brevitas(network(kind), LENGTH)
    return freeze_chain(chain, float32_codes if kind in POWER_OF_TWO else float64_codes).model


@cache
def _passed(kind: str) -> tuple[tuple[ModelWrapper, ...], dict[str, int]]:
    """The graph before each pass and at the end, and the thresholds that were replaced."""
    graphs = []
    work = start(kind)
    lower(work, lambda _: graphs.append(_copy(work.graph)))
    return (*graphs, work.graph), work.thresholds_replaced


def _copy(graph: ModelWrapper) -> ModelWrapper:
    return ModelWrapper(graph.model, make_deepcopy=True)


def start(kind: str) -> Lowering:
    """What the first pass gets."""
    with TemporaryDirectory() as folder:
        return Lowering(graph(kind, Path(folder)), model_of(kind))


def after(name: str, kind: str = "power of two") -> Lowering:
    """The state after the pass of this name, to be changed."""
    graphs, _ = _passed(kind)
    index = [step.name for step in PASSES].index(name)
    return Lowering(_copy(graphs[index + 1]), model_of(kind))


def lowered(kind: str = "power of two") -> Lowering:
    """The state after all passes, to be changed."""
    graphs, replaced = _passed(kind)
    return Lowering(_copy(graphs[-1]), model_of(kind), dict(replaced))
