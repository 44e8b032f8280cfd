"""The codes of a layer's sums as SystemVerilog: multiplications and searches, and their tables."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.dataflow.zeros.quantizer import Comparators, Quantizer, Requantizer

REQUANTIZER_CYCLES = 4
"""From a sum to its code."""


def tables(own: Quantizer, module: str) -> dict[str, str]:
    """Texts for `$readmemh` by file name."""
    found = {}
    if own.requantizer is not None:
        found[_requantizer_file(module)] = _requantizer_table(own.requantizer)
    if own.comparators is not None:
        found |= _search_tables(own.comparators, module)
    return found


def _requantizer_file(module: str) -> str:
    return f"{module}_requantizer.mem"


def _requantizer_table(own: Requantizer) -> str:
    """A word a slot, the first lane in the low bits, of each lane the factor below the term."""
    lane_bits = own.factor_bits + own.term_bits
    lines = []
    for factors, terms in zip(own.factors, own.terms, strict=True):
        word = 0
        for place, (factor, term) in enumerate(zip(factors, terms, strict=True)):
            value = factor | (term % (1 << own.term_bits)) << own.factor_bits
            word |= value << place * lane_bits
        lines.append(f"{word:0{-(-len(factors) * lane_bits // 4)}x}\n")
    return "".join(lines)


def _search_tables(own: Comparators, module: str) -> dict[str, str]:
    """By file name: of every lane one for each bit of its codes, the highest first."""
    digits = -(-own.threshold_bits // 4)
    return {
        f"{_search_files(module, lane)}{stage}.mem": "".join(
            f"{t:0{digits}x}\n" for t in own.decisive(place, own.code_bits - 1 - stage)
        )
        for place, lane in enumerate(own.lanes)
        for stage in range(own.code_bits)
    }


def _search_files(module: str, lane: int) -> str:
    return f"{module}_lane{lane}_thresholds"


def quantizer_text(own: Quantizer, sum_bits: int, code_bits: int, module: str) -> Iterator[str]:
    """From `lane_sums` to `lane_codes`, in equally many cycles in all lanes."""
    slots = len(own.order)
    kinds: list[tuple[Requantizer | Comparators, int, str]] = []
    if own.requantizer is not None:
        text = _requantizer(own.requantizer, slots, sum_bits, _requantizer_file(module))
        kinds.append((own.requantizer, REQUANTIZER_CYCLES, text))
    if own.comparators is not None:
        text = "".join(_searches(own.comparators, slots, sum_bits, module))
        kinds.append((own.comparators, 2 * own.comparators.code_bits, text))
    latency = max(cycles for _, cycles, _ in kinds)
    for kind, cycles, text in kinds:
        yield from _codes(kind, code_bits, latency - cycles)
        yield text
    yield f"""
  strobe_line #(.Cycles({latency})) codes_valid_line (
    .clk(clk), .rst_n(rst_n), .x(sums_valid), .y(codes_valid)
  );
  delay_line #(.Bits({max(1, (slots - 1).bit_length())}), .Cycles({latency})) codes_slot_line (
    .clk(clk), .x(sums_slot), .y(codes_slot)
  );
"""


def _codes(kind: Requantizer | Comparators, bits: int, wait: int) -> Iterator[str]:
    """Places the codes of a kind in those of all lanes, when they have waited for the other's."""
    name, count = _name(kind), len(kind.lanes)
    yield f"  wire [{count * bits - 1}:0] {name};\n"
    if wait:
        yield f"  wire [{count * bits - 1}:0] late_{name};\n"
        yield f"  delay_line #(.Bits({count * bits}), .Cycles({wait})) late_{name}_line "
        yield f"(.clk(clk), .x({name}), .y(late_{name}));\n"
        name = f"late_{name}"
    for place, lane in enumerate(kind.lanes):
        target, source = f"{lane * bits} +: {bits}", f"{place * bits} +: {bits}"
        yield f"  assign lane_codes[{target}] = {name}[{source}];\n"


def _name(kind: Requantizer | Comparators) -> str:
    return "multiplied" if isinstance(kind, Requantizer) else "compared"


def _requantizer(own: Requantizer, slots: int, bits: int, table: str) -> str:
    lanes = (f"lane_sums[{lane * bits} +: {bits}]" for lane in reversed(own.lanes))
    return f"""  requantizer #(
    .Lanes({len(own.lanes)}),
    .Slots({slots}),
    .AccBits({bits}),
    .FactorBits({own.factor_bits}),
    .TermBits({own.term_bits}),
    .Shift({own.shift}),
    .CodeBits({max(1, own.levels.bit_length())}),
    .Levels({own.levels}),
    .TableFile("{table}")
  ) requantize (
    .clk(clk), .sums_i({{{", ".join(lanes)}}}), .slot_i(sums_slot), .codes_o(multiplied)
  );
"""


def _searches(own: Comparators, slots: int, bits: int, module: str) -> Iterator[str]:
    """Sums and thresholds are unsigned; those of the search have a sign."""
    wide = max(bits, own.threshold_bits) + 1
    for place, lane in enumerate(own.lanes):
        yield f"""  threshold_search #(
    .AccBits({wide}), .Rows({slots}), .CodeBits({own.code_bits}),
    .Files("{_search_files(module, lane)}")
  ) search{lane} (
    .clk(clk), .x_i({wide}'(lane_sums[{lane * bits} +: {bits}])), .row_i(sums_slot),
    .code_o(compared[{place * own.code_bits} +: {own.code_bits}])
  );
"""
