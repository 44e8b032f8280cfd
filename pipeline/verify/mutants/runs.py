"""Changed integers in layers that skip zeros: their design is generated anew.

There weights are truth tables in the sources and words of a program, so a changed one is another
circuit.  It is planned at the pace of the old one.  Where only tables are other, the simulator is
found in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.codegen import rtl
from pipeline.codegen.nodes import NodeHdl, generate, run_hdl
from pipeline.core.paths import PROJECT_ROOT
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.dataflow.operators import ZERO_SKIPPING
from pipeline.dataflow.zeros.run import Arrival, Planner, Run

KERNELS = PROJECT_ROOT / "hw" / "rtl"


@dataclass(frozen=True)
class Runs:
    """The runs of a graph of streams, whose design can be made again with other integers.

    folder: of the RTL that was generated for the graph and the model.
    """

    graph: ModelWrapper
    model: IntegerModel
    folder: Path

    @cached_property
    def planned(self) -> Mapping[str, Run]:
        """By the names of their nodes, in data order."""
        nodes = self.graph.get_nodes_by_op_type(ZERO_SKIPPING)
        return {node.name: getCustomOp(node).run() for node in nodes}

    @cached_property
    def layers(self) -> frozenset[str]:
        """Names of the layers in them."""
        return frozenset(layer.name for run in self.planned.values() for layer in run.layers)

    @cached_property
    def _nodes(self) -> Sequence[NodeHdl]:
        return list(generate(self.graph, self.model.layers))

    def design(self, model: IntegerModel) -> Mapping[str, bytes]:
        """The files of a design with the integers of `model`, which differ in runs alone.

        Raises UserError where one has no plan at its pace.
        """
        nodes = [self._with(node, model) for node in self._nodes]
        notice = (self.folder / "NOTICE").read_bytes()
        return rtl.accelerator(nodes, rtl.load_design(self.folder).input, KERNELS, notice)

    def _with(self, node: NodeHdl, model: IntegerModel) -> NodeHdl:
        old = self.planned.get(node.name)
        if old is None:
            return node
        own = {layer.name for layer in old.layers}
        layers = tuple(layer for layer in model.layers if layer.name in own)
        arrival = Arrival(old.positions, old.pace.group, old.pace.spacing)
        run = Planner(layers, old.entering, arrival).run(old.pace)
        return run_hdl(node.name, run, node.output.stream)


def write(files: Mapping[str, bytes], folder: Path) -> Path:
    """A new folder with these files."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
