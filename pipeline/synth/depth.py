"""The longest path of logic between registers, by layer."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from pipeline.synth.cells import CARRY, DSP, MUX
from pipeline.synth.netlist import CONSTANT, Cell, Net, Whole
from pipeline.synth.timing import LEVEL, timing

OUTSIDE = "an input of the accelerator", "an output of the accelerator"
UNNAMED = "a register without a name"


class LogicLoopError(Exception):
    """Logic that feeds itself: what maps a netlist refuses it, so this is a bug of ours."""


@dataclass(frozen=True)
class Path:
    """levels: luts, chains and multipliers together; carry: cells of the chains; mux: multiplexers
    beside LUTs; start, end: (part, register)."""

    luts: int
    chains: int
    multipliers: int
    carry: int
    mux: int
    start: tuple[str, str]
    end: tuple[str, str]

    @property
    def levels(self) -> int:
        """Of logic, one behind the other."""
        return self.luts + self.chains + self.multipliers


@dataclass
class _Graph:
    """arrivals: the highest cost at which a net is reached; before: net and cell it came by."""

    out: dict[Net, list[tuple[Net, int, int]]] = field(default_factory=lambda: defaultdict(list))
    waiting: Counter[Net] = field(default_factory=Counter)
    starts: dict[Net, tuple[str, str]] = field(default_factory=dict)
    ends: list[tuple[Net, str, str]] = field(default_factory=list)
    arrivals: dict[Net, int] = field(default_factory=dict)
    before: dict[Net, tuple[Net, int]] = field(default_factory=dict)

    def join(self, source: Net, target: Net, cost: int, cell: int) -> None:
        self.out[source].append((target, cost, cell))
        self.waiting[target] += 1


def longest_paths(whole: Whole) -> dict[str, Path]:
    """The longest path that ends in each part; parts in which none ends are left out."""
    graph = _graph(whole)
    _arrive(graph)
    worst: dict[str, tuple[int, Net, str]] = {}
    for net, part, register in graph.ends:
        cost = graph.arrivals.get(net)
        if cost is not None and (part not in worst or cost > worst[part][0]):
            worst[part] = (cost, net, register)
    return {part: _path(graph, whole, part, *found) for part, found in worst.items()}


def _graph(whole: Whole) -> _Graph:
    graph = _Graph()
    for source, target in whole.same:
        if CONSTANT not in (source, target):
            graph.join(source, target, 0, -1)
    for index, (part, cell) in enumerate(whole.cells):
        found = timing(cell)
        name = _register(whole, found.starts, cell)
        graph.starts |= {net: (part, name) for net in found.starts}
        graph.ends += [(net, part, name) for net in found.ends]
        for source, target, cost in found.arcs:
            graph.join(source, target, cost, index)
    graph.starts |= {net: (OUTSIDE[0], name) for net, name in whole.inputs.items()}
    graph.ends += [(net, OUTSIDE[1], name) for net, name in whole.outputs.items()]
    return graph


def _register(whole: Whole, outputs: tuple[Net, ...], cell: Cell) -> str:
    """The name of what a cell stores: that of its first output that has one in the HDL."""
    named = (whole.names[net] for net in outputs if net in whole.names)
    return next(named, "") or cell.name or f"{UNNAMED} ({cell.kind})"


def _arrive(graph: _Graph) -> None:
    """Highest costs in topological order; a net that nothing reaches counts as a constant."""
    waiting = Counter(graph.waiting)
    roots = {net for net in graph.out if net not in waiting} | graph.starts.keys()
    graph.arrivals |= dict.fromkeys(graph.starts, 0)
    ready = [net for net in roots if not waiting[net]]
    done = 0
    while ready:
        net = ready.pop()
        done += 1
        arrival = graph.arrivals.get(net)
        for target, cost, cell in graph.out.get(net, ()):
            if arrival is not None and arrival + cost > graph.arrivals.get(target, -1):
                graph.arrivals[target] = arrival + cost
                graph.before[target] = (net, cell)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    stuck = [net for net, left in waiting.items() if left > 0]
    if stuck:
        raise LogicLoopError(f"{len(stuck)} nets are in loops of logic")


def _path(graph: _Graph, whole: Whole, part: str, cost: int, end: Net, register: str) -> Path:
    net, cells = end, list[int]()
    while net in graph.before:
        net, cell = graph.before[net]
        cells += [cell] if cell >= 0 else []
    kinds = Counter(whole.cells[cell][1].kind for cell in cells)
    multipliers = sum(kinds[kind] for kind in DSP)
    luts = sum(n for kind, n in kinds.items() if kind not in CARRY | MUX | DSP)
    return Path(
        luts=luts,
        chains=cost // LEVEL - luts - multipliers,
        multipliers=multipliers,
        carry=sum(kinds[kind] for kind in CARRY),
        mux=sum(kinds[kind] for kind in MUX),
        start=graph.starts.get(net, ("", "a constant")),
        end=(part, register),
    )
