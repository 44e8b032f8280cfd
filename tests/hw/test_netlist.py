"""The kernels as Yosys reads them, against numpy and cycle by cycle as Verilator reads them.

Two front ends may take one line of SystemVerilog for two circuits, above all where widths and
signs of expressions are concerned.  One simulator holds many parameter points, another the netlist
that Yosys makes of the same sources.
"""

from pathlib import Path

import pytest

from tests.hw.bank import RTL, STALLS, Bank, Port, build_bank, synthesised
from tests.hw.examples import (
    PADDING,
    WORDS,
    Taps,
    adder,
    coder,
    converter,
    fifo,
    padding,
    pool,
    selector,
    unit,
    window,
)
from tests.hw.faults import broken_modules, is_noticed

pytestmark = pytest.mark.slow

FRAMES = 10
FILLED = Path(__file__).with_name("filled_fifo.sv")
SIGNED = Port(9, 2, signed=True)

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
    "padding": padding(3, 2, 4, (1, 1)),
    "padding, one side": padding(4, 1, 3, (3, 0)),
    "window": window(Port(3, 3), 2, Taps(3), 2),
    "window, dilation": window(Port(4, 1), 1, Taps(3, 1, 2), 4, starved=1),
    "window, far apart": window(Port(4, 2), 3, Taps(2, 5, 2), 2, 3),
    "coder": coder(6, 2, SIGNED, [range(-90, 90, 12), [256] * 15], 0),
    "coder, two levels": coder(3, 1, Port(4, 1), [[2, 9]], -1),
    "collected": converter(3, 1, 4),
    "divided": converter(5, 6, 2),
    "collected and divided": converter(3, 4, 6),
    **{f"FIFO of {depth}": fifo("stream_fifo", depth) for depth in DEPTHS},
}
FILLED_FIFOS = {f"filled FIFO of {depth}": fifo("filled_fifo", depth) for depth in DEPTHS}
FAULTS = {
    "it takes words when full": ("count_q != CountBits'(Stored)", "1'b1"),
    "it keeps words that went straight through": ("push && !(load && empty)", "push"),
}
ALL = [*EXAMPLES, *FILLED_FIFOS, *FAULTS]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    folder = tmp_path_factory.mktemp("kernels")
    broken = [fifo(f"stream_fifo_{number}", 3) for number in range(len(FAULTS))]
    examples = [*EXAMPLES.values(), *FILLED_FIFOS.values(), *broken]
    tables = dict(table for example in examples for table in example.tables)
    instances = [example.instance for example in examples]
    sources = (*PADDING, FILLED, broken_modules([RTL / "stream_fifo.sv"], FAULTS.values(), folder))
    return build_bank(instances, folder, WORDS, tables, sources)


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
    assert is_noticed(bank, ALL.index(fault), fifo("", 3), 40, "random 40")
