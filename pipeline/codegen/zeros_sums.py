"""The sums of a layer as SystemVerilog: truth tables, adders, accumulators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.dataflow.zeros.network import AdderNetwork, Leaf, Operand, Row, Sum


def sums_text(sums: AdderNetwork) -> Iterator[str]:
    """From the window's digits `x` to the accumulators `rows`, with `first_here` at the first digit
    and, where there are several phases, `phase`."""
    late_phase = "phase"
    if sums.phases > 1:
        bits = sums.phase_bits
        late_phase = "lane_phase"
        yield f"  wire [{bits - 1}:0] lane_phase;\n"
        yield f"  delay_line #(.Bits({bits}), .Cycles(1)) phase_line (.clk(clk), .x(phase), "
        yield ".y(lane_phase));\n"
        yield from _lanes(sums)
    for number, node in enumerate(sums.nodes):
        bits = node.bits
        yield f"  wire [{bits - 1}:0] n{number};\n"
        if isinstance(node, Leaf):
            yield _leaf(sums, number, node, bits, late_phase)
        else:
            yield _sum(sums, number, node)
    for number, row in enumerate(sums.rows):
        yield _row(sums, number, row)


def _lanes(sums: AdderNetwork) -> Iterator[str]:
    for number, lane in enumerate(sums.lanes):
        chosen = ", ".join("1'b0" if s is None else f"x[{s}]" for s in reversed(lane.sources))
        yield f"  wire l{number};\n"
        yield (
            f"  lane_select #(.Phases({sums.phases})) lane{number} "
            f"(.clk(clk), .phase(phase), .x({{{chosen}}}), .y(l{number}));\n"
        )


def _leaf(sums: AdderNetwork, number: int, leaf: Leaf, bits: int, phase: str) -> str:
    lanes = [_lane(sums, lane) for lane in leaf.lanes]
    if not lanes:
        return f"  assign n{number} = '0;\n"
    if sums.phases > 1:
        lanes.append(phase)
    inputs = len(leaf.lanes) + sums.phase_bits
    table = 0
    for phase_number in range(sums.phases):
        for value in range(1 << len(leaf.lanes)):
            place = phase_number << len(leaf.lanes) | value
            table |= leaf.sum(phase_number, value) << place * bits
    digits = -(-bits * 2**inputs // 4)
    return (
        f"  truth_table #(.Inputs({inputs}), .Bits({bits}), "
        f".Table({bits * 2**inputs}'h{table:0{digits}x})) leaf{number} "
        f"(.clk(clk), .x({{{', '.join(reversed(lanes))}}}), .y(n{number}));\n"
    )


def _lane(sums: AdderNetwork, lane: int) -> str:
    if sums.phases > 1:
        return f"l{lane}"
    return f"x[{sums.lanes[lane].sources[0]}]"


def _sum(sums: AdderNetwork, number: int, node: Sum) -> str:
    bits = node.bits
    if len(node.operands) == 1:
        return (
            f"  delay_line #(.Bits({bits}), .Cycles(1)) sum{number} "
            f"(.clk(clk), .x(n{node.operands[0].node}), .y(n{number}));\n"
        )
    parameters, ports = _adder(sums, node.operands, bits)
    return f"  ternary_adder #({parameters}) sum{number} (.clk(clk), {ports}, .y(n{number}));\n"


def _row(sums: AdderNetwork, number: int, row: Row) -> str:
    """Accumulators are as wide as the widest, so that all rows are one vector."""
    bits = sums.accumulator_bits
    target = f"rows[{number * bits} +: {bits}]"
    if sums.digits == 1:
        parameters, ports = _adder(sums, row.operands, bits)
        return f"  ternary_adder #({parameters}) row{number} (.clk(clk), {ports}, .y({target}));\n"
    masks = ", ".join(_masks(sums, row.operands, bits, "AB"))
    ports = ", ".join(_ports(row.operands, bits, "ab"))
    return (
        f"  digit_accumulator #(.Bits({bits}), .Digit({sums.digit_bits}){masks and ', '}{masks}) "
        f"row{number} (.clk(clk), .first(first_here), {ports}, .y({target}));\n"
    )


def _adder(sums: AdderNetwork, operands: Sequence[Operand], bits: int) -> tuple[str, str]:
    """Parameters and ports; the operand that reaches lowest comes first and passes below."""
    ordered = sorted(operands, key=lambda x: x.shift)
    passed = ordered[1].shift if len(ordered) > 1 else 0
    passed = min(passed, bits - 1)
    masks = "".join(f", {mask}" for mask in _masks(sums, ordered, bits, "ABC"))
    return f".Bits({bits}), .Pass({passed}){masks}", ", ".join(_ports(ordered, bits, "abc"))


def _masks(sums: AdderNetwork, operands: Sequence[Operand], bits: int, names: str) -> Iterator[str]:
    for name, x in zip(names, operands, strict=False):
        if x.inverted:
            mask = ((1 << sums.nodes[x.node].bits) - 1) << x.shift
            yield f".Invert{name}({bits}'h{mask:x})"


def _ports(operands: Sequence[Operand], bits: int, names: str) -> Iterator[str]:
    for index, name in enumerate(names):
        if index >= len(operands):
            yield f".{name}({bits}'d0)"
            continue
        x = operands[index]
        value = f"{bits}'(n{x.node})"
        yield f".{name}({value} << {x.shift})" if x.shift else f".{name}({value})"
