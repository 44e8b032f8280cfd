"""The kernels as Yosys reads them, against numpy and cycle by cycle as Verilator reads them.

Two front ends may take one line of SystemVerilog for two circuits, above all where widths and
signs of expressions are concerned.  One simulator holds many parameter points, another the netlist
that Yosys makes of the same sources.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import VerificationFailed
from pipeline.dataflow.integer_model import Codes, Integers, reachable
from pipeline.dataflow.operators import folded_weights
from pipeline.dataflow.tables import table_text
from tests.hw.bank import RTL, STALLS, Bank, Instance, Port, build_bank, synthesised

pytestmark = pytest.mark.slow

WORDS = 12
"""Output words a frame of the bank: every instance gives a whole number of its own in them."""
FRAMES = 10
FILLED = Path(__file__).with_name("filled_fifo.sv")


@dataclass(frozen=True)
class Example:
    """A parameter point: `shape` is that of its values for one frame of the bank, `result` what
    numpy makes of frames of them; `cycles` a frame takes, and the last word's way from the last
    word that it depends on takes `delay`."""

    instance: Instance
    shape: tuple[int, ...]
    result: Callable[[Integers], Integers]
    cycles: int
    delay: int = 1
    idle: int = 0
    tables: tuple[tuple[str, str], ...] = ()

    def inputs(self, frames: int, seed: int) -> Integers:
        """Random values, and frames that hold the lowest or the highest value throughout."""
        port = self.instance.entering
        low = -(2 ** (port.bits - 1)) if port.signed else 0
        high = low + 2**port.bits - 1
        values = np.random.default_rng(seed).integers(low, high + 1, (frames, *self.shape))
        values[:1], values[1:2] = low, high
        return values


def unit(pe: int, simd: int, weight_bits: int, entering: tuple[int, bool], mw: int) -> Example:
    """A matrix-vector unit of six rows whose accumulator is as narrow as its reach allows."""
    bits, signed = entering
    half, top = 2 ** (weight_bits - 1), 2 ** (bits - signed)
    matrix = np.random.default_rng(mw).integers(-half, half, (6, mw))
    matrix[0], matrix[1] = -half, half - 1
    low, high = reachable(matrix[:, None], Codes(-top if signed else 0, top - 1))
    acc_bits = Codes(int(low.min()), int(high.max())).bits
    table = f"weights{mw}.mem"
    parameters: dict[str, int | str] = {
        "MatrixWidth": mw,
        "MatrixHeight": 6,
        "Pe": pe,
        "Simd": simd,
        "InBits": bits,
        "InSigned": int(signed),
        "WeightBits": weight_bits,
        "AccBits": acc_bits,
        "WeightFile": table,
    }
    ports = Port(bits, simd, signed), Port(acc_bits, pe, signed=True)
    return Example(
        Instance("matrix_vector_unit", parameters, *ports),
        (WORDS * pe // 6, mw),
        lambda x: x @ matrix.T,
        cycles=WORDS * mw // simd,
        delay=4,
        tables=((table, table_text(folded_weights(matrix.T, pe, simd), weight_bits)),),
    )


def pool(bits: int, signed: bool, kernel: int, positions: int) -> Example:
    """Four channels, two at once."""
    kept = positions // kernel
    repeats = WORDS // (2 * kept)
    parameters: dict[str, int | str] = {
        "Channels": 4,
        "Pe": 2,
        "Bits": bits,
        "Signed": int(signed),
        "Kernel": kernel,
        "Positions": positions,
    }

    def maxima(x: Integers) -> Integers:
        return x[:, :, : kept * kernel].reshape(len(x), repeats, kept, kernel, 4).max(axis=3)

    port = Port(bits, 2, signed)
    return Example(
        Instance("max_pool", parameters, port, port),
        (repeats, positions, 4),
        maxima,
        cycles=repeats * positions * 2,
        idle=positions % kernel * 2,
    )


def adder(bits: int, signed: bool) -> Example:
    """Six channels, three at once."""
    bias = np.array([-(2**bits), 0, 1, -1, 2**bits, 2 ** (bits - 1)])
    table = f"bias{bits}.mem"
    parameters: dict[str, int | str] = {
        "Channels": 6,
        "Pe": 3,
        "InBits": bits,
        "InSigned": int(signed),
        "OutBits": bits + 2,
        "BiasFile": table,
    }
    ports = Port(bits, 3, signed), Port(bits + 2, 3, signed=True)
    return Example(
        Instance("bias_add", parameters, *ports),
        (WORDS // 2, 6),
        lambda x: x + bias,
        cycles=WORDS,
        tables=((table, table_text(bias.reshape(-1, 3), bits + 2)),),
    )


def selector(bits: int, signed: bool, labels: int) -> Example:
    """Two logits at once; few bits make many ties."""
    parameters: dict[str, int | str] = {
        "Labels": labels,
        "Pe": 2,
        "Bits": bits,
        "Signed": int(signed),
    }
    ports = Port(bits, 2, signed), Port(16 if labels > 256 else 8, 1)
    return Example(
        Instance("label_select", parameters, *ports),
        (WORDS, labels),
        lambda x: x.argmax(axis=-1),
        cycles=WORDS * labels // 2,
    )


def fifo(module: str, depth: int) -> Example:
    port = Port(8, 3)
    instance = Instance(module, {"Bits": 24, "Depth": depth}, port, port)
    return Example(instance, (WORDS, 3), lambda x: x, cycles=WORDS)


DEPTHS = (2, 3, 5, 32)
EXAMPLES = {
    "unit, nine at once": unit(2, 9, 5, (3, False), 27),
    "unit, signed bits": unit(3, 5, 2, (1, True), 10),
    "unit, bits": unit(3, 5, 1, (1, False), 15),
    "unit, one word a vector": unit(1, 8, 4, (4, False), 8),
    "unit, wider weights": unit(6, 1, 8, (2, True), 4),
    "unit, wider inputs": unit(1, 1, 2, (8, True), 3),
    "pool": pool(4, False, 2, 6),
    "pool, a rest": pool(3, True, 3, 11),
    "pool, signed bits": pool(1, True, 2, 4),
    "no pool": pool(4, True, 1, 3),
    "adder": adder(7, True),
    "adder, unsigned": adder(8, False),
    "selector": selector(14, True, 24),
    "selector, ties": selector(2, True, 10),
    "selector, bits": selector(1, False, 6),
    "selector, 300 labels": selector(5, True, 300),
    **{f"FIFO of {depth}": fifo("stream_fifo", depth) for depth in DEPTHS},
}
FILLED_FIFOS = {f"filled FIFO of {depth}": fifo("filled_fifo", depth) for depth in DEPTHS}
FAULTS = {
    "it takes words when full": ("count_q != CountBits'(Stored)", "1'b1"),
    "it keeps words that went straight through": ("push && !(load && empty)", "push"),
}
ALL = [*EXAMPLES, *FILLED_FIFOS, *FAULTS]


def broken_fifos(folder: Path) -> Path:
    """A source with a module for every fault."""
    text, modules = (RTL / "stream_fifo.sv").read_text(), []
    for number, (right, wrong) in enumerate(FAULTS.values()):
        assert text.count(right) == 1
        broken = text.replace(right, wrong)
        modules.append(broken.replace("module stream_fifo", f"module broken_fifo{number}"))
    (folder / "broken_fifos.sv").write_text("\n".join(modules))
    return folder / "broken_fifos.sv"


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    folder = tmp_path_factory.mktemp("kernels")
    broken = [fifo(f"broken_fifo{number}", 3) for number in range(len(FAULTS))]
    examples = [*EXAMPLES.values(), *FILLED_FIFOS.values(), *broken]
    tables = dict(table for example in examples for table in example.tables)
    instances = [example.instance for example in examples]
    return build_bank(instances, folder, WORDS, tables, (FILLED, broken_fifos(folder)))


@pytest.fixture(scope="module")
def netlist(bank: Bank) -> Bank:
    return synthesised(bank, range(len(EXAMPLES)))


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("stalls", STALLS)
@pytest.mark.parametrize("seed", [1, 2])
def test_yosys_and_verilator_read_one_circuit_and_it_computes_what_numpy_does(
    bank: Bank, netlist: Bank, name: str, stalls: str, seed: int
) -> None:
    example, number = EXAMPLES[name], ALL.index(name)
    values = example.inputs(FRAMES, seed)
    ours, theirs = (b.run(number, FRAMES, values, stalls, seed) for b in (bank, netlist))
    expected = example.result(values).ravel().tolist()
    assert ours.values.tolist() == expected
    assert theirs.values.tolist() == expected
    assert ours.cycles == theirs.cycles


@pytest.mark.parametrize("name", EXAMPLES)
def test_cycles_are_as_the_module_says(bank: Bank, name: str) -> None:
    example, number = EXAMPLES[name], ALL.index(name)
    one, many = (bank.run(number, n, example.inputs(n, 1), "none") for n in (1, 9))
    assert one.latency == example.cycles - 1 - example.idle + example.delay
    assert many.cycles - one.cycles == 8 * example.cycles


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_full_fifo_holds_its_depth_and_then_delivers_a_word_a_cycle(
    bank: Bank, depth: int
) -> None:
    name = f"filled FIFO of {depth}"
    values = FILLED_FIFOS[name].inputs(FRAMES, 1)
    full = bank.run(ALL.index(name), FRAMES, values, "none")
    assert full.values.tolist() == values.ravel().tolist()
    empty = bank.run(ALL.index(f"FIFO of {depth}"), FRAMES, values, "none")
    # word `depth` was refused and the output opened the cycle after; from there on without a gap
    assert full.latency == depth + 1 + WORDS - 1
    assert full.cycles - empty.cycles == full.latency - empty.latency


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_fifo_is_noticed(bank: Bank, fault: str) -> None:
    values = fifo("", 3).inputs(40, 1)
    try:
        found = bank.run(ALL.index(fault), 40, values, "random 40").values.tolist()
    except VerificationFailed:  # words were lost, or some came twice
        return
    assert found != values.ravel().tolist()
