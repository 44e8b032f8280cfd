"""The longest path, on netlists written by hand."""

import pytest

from pipeline.synth.depth import LogicLoopError, Path, longest_paths
from pipeline.synth.netlist import Cell, Whole


def ff(d: int, q: int) -> Cell:
    return Cell("FDRE", {}, {"C": (1,), "CE": (0,), "R": (0,), "D": (d,), "Q": (q,)})


def lut(*inputs: int, out: int) -> Cell:
    pins = {f"I{i}": (net,) for i, net in enumerate(inputs)}
    return Cell(f"LUT{len(inputs)}", {}, pins | {"O": (out,)})


def carry(enters: int, out: tuple[int, ...], behind: int = 0) -> Cell:
    """One that is entered at its lowest bit."""
    pins = {"S": (enters, 0, 0, 0), "DI": (0, 0, 0, 0), "CI": (behind,), "CYINIT": (0,)}
    return Cell("CARRY4", {}, pins | {"O": out, "CO": (0, 0, 0, out[3] + 100)})


def paths(cells: list[Cell], names: dict[int, str], part: str = "p") -> dict[str, Path]:
    return longest_paths(Whole(cells=[(part, cell) for cell in cells], names=names))


def test_a_chain_of_luts() -> None:
    cells = [ff(0, 10), lut(10, out=11), lut(11, 10, out=12), lut(12, out=13), ff(13, 14)]
    found = paths(cells, {10: "from[0]", 14: "to[3]"})
    assert found == {"p": Path(3, 0, 0, 0, 0, ("p", "from[0]"), ("p", "to[3]"))}
    assert found["p"].levels == 3


def test_a_carry_chain_is_one_level_however_long() -> None:
    first, second = carry(11, (20, 21, 22, 23)), carry(0, (30, 31, 32, 33), behind=123)
    cells = [ff(0, 10), lut(10, out=11), first, second, lut(33, out=40), ff(40, 41)]
    found = paths(cells, {10: "a", 41: "b"})["p"]
    assert (found.luts, found.chains, found.carry, found.levels) == (2, 1, 2, 3)


def test_a_sum_does_not_depend_on_the_bits_above_it() -> None:
    """The highest select reaches the highest sum alone."""
    late = Cell(
        "CARRY4",
        {},
        {"S": (0, 0, 0, 12), "DI": (0, 0, 0, 0), "O": (20, 21, 22, 23), "CO": (0, 0, 0, 0)},
    )
    cells = [ff(0, 10), lut(10, out=11), lut(11, out=12), late, ff(20, 30), ff(23, 31)]
    found = paths(cells, {10: "a", 30: "low", 31: "high"})["p"]
    assert found.end == ("p", "high")
    assert found.luts == 2


def test_more_levels_come_before_more_carry_cells() -> None:
    long = [carry(11, (20, 21, 22, 23)), carry(0, (30, 31, 32, 33), behind=123)]
    deep = [lut(11, out=50), lut(50, out=51)]
    cells = [ff(0, 10), lut(10, out=11), *long, ff(33, 40), *deep, ff(51, 52)]
    found = paths(cells, {40: "long", 52: "deep"})["p"]
    assert found.end == ("p", "deep")


def test_a_multiplexer_beside_luts_is_no_level() -> None:
    mux = Cell("MUXF7", {}, {"I0": (11,), "I1": (12,), "S": (10,), "O": (13,)})
    cells = [ff(0, 10), lut(10, out=11), lut(10, out=12), mux, ff(13, 14)]
    found = paths(cells, {})["p"]
    assert (found.levels, found.mux) == (1, 1)
    assert found.start == ("p", "a register without a name (FDRE)")


def test_a_memory_of_luts_is_read_through_and_written_by_a_clock() -> None:
    pins = {"D": (15,), "WE": (0,), "WCLK": (1,), "A0": (10,), "DPRA0": (11,), "SPO": (0,)}
    memory = Cell("RAM64X1D", {}, pins | {"DPO": (12,)})
    cells = [ff(0, 10), ff(0, 9), lut(9, out=11), memory, lut(12, out=13), ff(13, 14)]
    found = paths(cells, {9: "read address", 14: "word"})["p"]
    assert (found.luts, found.start) == (3, ("p", "read address"))
    # the address that writes does not reach the word
    cells = [ff(0, 10), lut(10, out=16), lut(16, out=17), memory, ff(12, 14)]
    cells[3] = Cell("RAM64X1D", {}, pins | {"A0": (17,), "DPO": (12,)})
    found = paths(cells, {12: "memory"})["p"]
    assert (found.luts, found.end) == (2, ("p", "memory"))


def test_a_shift_register_starts_at_its_clock() -> None:
    line = Cell("SRL16E", {}, {"D": (10,), "CE": (0,), "CLK": (1,), "A0": (0,), "Q": (11,)})
    found = paths([ff(0, 10), lut(10, out=9), line, lut(11, out=12), ff(12, 13)], {11: "line"})["p"]
    assert (found.luts, found.start) == (1, ("p", "line"))


@pytest.mark.parametrize(
    ("registers", "levels", "ends"),
    [
        ({"AREG": "1", "MREG": "0", "PREG": "0"}, 1, "product"),
        ({"AREG": "0", "MREG": "1", "PREG": "0"}, 1, "product"),
        ({"AREG": "0", "MREG": "0", "PREG": "1"}, 1, "product"),
        ({"AREG": "0", "MREG": "0", "PREG": "0"}, 3, "behind"),
    ],
)
def test_a_multiplier_ends_a_path_where_it_has_a_register(
    registers: dict[str, str], levels: int, ends: str
) -> None:
    none = dict.fromkeys(("BREG", "CREG", "DREG", "ADREG"), "0")
    pins = {"A": (11,), "B": (0,), "C": (0,), "CLK": (1,), "P": (12,)}
    cells = [ff(0, 10), lut(10, out=11), Cell("DSP48E1", none | registers, pins)]
    found = paths([*cells, lut(12, out=13), ff(13, 14)], {12: "product", 14: "behind"})["p"]
    assert found.levels == levels
    if levels == 3:
        assert (found.multipliers, found.end) == (1, ("p", ends))
    else:  # one LUT before it and one behind: whichever is met first
        assert found.multipliers == 0


def test_a_path_through_several_parts() -> None:
    whole = Whole(
        cells=[("a", ff(0, 10)), ("a", lut(10, out=11)), ("b", lut(20, out=21)), ("b", ff(21, 22))],
        names={10: "start", 22: "end"},
        same=[(11, 15), (15, 20)],  # out of one part, into the next
    )
    assert longest_paths(whole)["b"] == Path(2, 0, 0, 0, 0, ("a", "start"), ("b", "end"))


def test_inputs_and_outputs_count_as_registers_outside() -> None:
    whole = Whole(cells=[("a", lut(10, out=11))], inputs={10: "x[0]"}, outputs={11: "y[0]"})
    (path,) = longest_paths(whole).values()
    assert (path.start[1], path.end[1], path.luts) == ("x[0]", "y[0]", 1)


def test_a_loop_is_found() -> None:
    with pytest.raises(LogicLoopError, match="2 nets"):
        paths([ff(0, 9), lut(9, 11, out=10), lut(10, out=11)], {})


def test_constants_are_no_paths() -> None:
    assert paths([lut(0, out=10), lut(10, out=11), ff(11, 12)], {}) == {}
