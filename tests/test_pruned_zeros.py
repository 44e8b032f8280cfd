"""What pruning makes zero is zero at every later stage, and what it takes away is not there."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from pipeline.core.config import load_config
from pipeline.core.runner import Build, run_command, run_stage
from pipeline.dataflow import integer_model
from pipeline.network.pruning import prunable
from pipeline.network.source import load_own_network
from pipeline.network.widths import Widths
from pipeline.stages import find_command, find_stage
from pipeline.stages.export import GRAPH
from pipeline.stages.freeze import MODEL
from pipeline.stages.lower import HARDWARE_GRAPH

TOML = """
[network]
filters = 6
dense = 8
[data]
frames_per_cell = 3
[train]
epochs = 1
[prune]
method = "imp"
granularity = "structured+unstructured"
share = 0.4
criterion = 0.001
criterion_of = "absolute"
epochs = 2
[verify]
frames = 4
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """A small network that was trained, pruned, shipped and lowered."""
    root = tmp_path_factory.mktemp("root")
    model_dir = root / "models" / "small"
    model_dir.mkdir(parents=True)
    (model_dir / "model.toml").write_text(TOML)
    made = Build(load_config(model_dir), model_dir, find_stage, root=root)
    run_stage("train", made)
    run_stage("prune", made)
    run_command(find_command("ship"), made)
    run_stage("lower", made)
    return made


def zeros_in_training(build: Build) -> dict[str, int]:
    """Weights of each layer whose value, not only whose code, is zero."""
    state = torch.load(build.folder / "prune" / "weights.pt", weights_only=True)
    names = prunable(load_own_network(build.config, build.folder / "prune" / "weights.pt"))
    return {name.removesuffix(".weight"): int((state[name] == 0).sum()) for name in names}


def last_round(build: Build) -> dict[str, dict[str, int]]:
    metrics = json.loads((build.folder / "prune" / "metrics.json").read_text())
    rounds = metrics["pruning"]["rounds"]
    assert [one["granularity"] for one in rounds] == ["structured"] * 2 + ["unstructured"] * 2
    assert all(one["met"] for one in rounds)
    last: dict[str, dict[str, int]] = rounds[-1]
    return last


def test_the_weights_cut_are_zero_and_as_many_as_the_rounds_say(build: Build) -> None:
    zeros, last = zeros_in_training(build), last_round(build)
    weights = sum(last["weights"].values())
    left = weights
    for _ in range(2):
        left -= round(0.4 * left)
    assert sum(zeros.values()) == weights - left
    assert sum(last["nonzeros"].values()) <= left


def test_the_integers_are_zero_there(build: Build) -> None:
    model = integer_model.load(build.folder / "freeze" / MODEL)
    nonzeros = {layer.name: int(np.count_nonzero(layer.weights)) for layer in model.layers}
    assert nonzeros == last_round(build)["nonzeros"]
    assert {x.name: x.weights.size for x in model.layers} == last_round(build)["weights"]


def test_the_exported_graph_and_its_cost_are_those_of_the_last_round(build: Build) -> None:
    report = json.loads((build.folder / "export" / "report.json").read_text())["cost"]
    last = last_round(build)
    for key in ("nonzeros", "bit_operations", "weight_bits"):
        assert report[key] == last[key]
    assert (build.folder / "export" / GRAPH).is_file()


def hardware_nonzeros(graph: ModelWrapper) -> list[int]:
    nodes = [node for node in graph.graph.node if getCustomOp(node).get_nodeattr_types().get("MW")]
    weights = [graph.get_initializer(node.input[1]) for node in nodes]
    return [int(np.count_nonzero(w)) for w in weights if w is not None]


def test_the_hardware_graph_holds_no_other_weights(build: Build) -> None:
    graph = ModelWrapper(str(build.folder / "lower" / HARDWARE_GRAPH))
    found = hardware_nonzeros(graph)
    assert found == list(last_round(build)["nonzeros"].values())
    node = next(n for n in graph.graph.node if getCustomOp(n).get_nodeattr_types().get("MW"))
    changed = graph.get_initializer(node.input[1]).copy()
    changed[np.unravel_index(np.argmin(np.abs(changed)), changed.shape)] = 1
    graph.set_initializer(node.input[1], changed)
    assert hardware_nonzeros(graph) != found


def test_pruned_weights_are_what_is_shipped(build: Build) -> None:
    pruned = (build.folder / "prune" / "weights.pt").read_bytes()
    assert (build.model_dir / "weights.pt").read_bytes() == pruned
    assert json.loads((build.model_dir / "metrics.json").read_text())["pruning"]["method"] == "imp"


def test_the_certificate_that_is_shipped_is_that_of_freezing(build: Build) -> None:
    shipped = json.loads((build.model_dir / "certificate.json").read_text())
    assert shipped == json.loads((build.folder / "freeze" / "certificate.json").read_text())
    exported = json.loads((build.folder / "export" / "report.json").read_text())
    assert shipped == exported["certificate"]


def test_the_shrunk_network_is_exact_in_hardware(build: Build) -> None:
    """Layers of 4, 3, 5 ... outputs: no folding was made for these."""
    folder = run_stage("verify-rtlsim", build)
    report = json.loads((folder / "report.json").read_text())
    widths = Widths.of_state(torch.load(build.folder / "prune" / "weights.pt", weights_only=True))
    assert len(set(widths.filters)) > 1
    assert (report["mismatches"], report["frames"]) == (0, 4)
    assert len(report["layers"]) == 22
