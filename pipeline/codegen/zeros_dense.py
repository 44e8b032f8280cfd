"""A dense engine's instance of `hw/rtl/sparse_engine.sv`: parameters, and tables by file name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.dataflow.zeros.dense import Schedule, Shape

MODULE = "sparse_engine"

SOURCES = (
    "ternary_adder",
    "accumulator_sum",
    "sparse_unit",
    "sparse_sequencer",
    "position_writer",
    "scaled_quantizer",
    "threshold_search",
    MODULE,
)
"""The modules of `hw/rtl` that it consists of, in compile order."""

Field = tuple[int, int]
"""A number and its bits; one below zero in two's complement."""


@dataclass(frozen=True)
class Engine:
    """Parameters by name, strings without quotation marks; tables: text for `$readmemh` by file
    name."""

    parameters: dict[str, int | str]
    tables: dict[str, str]

    @property
    def instance_parameters(self) -> str:
        """As they stand in an instance: `.Name(value), ...`."""
        return ", ".join(f".{name}({_literal(x)})" for name, x in self.parameters.items())


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def engine(schedule: Schedule, prefix: str) -> Engine:
    """The engine that executes a schedule; the names of its tables begin with `prefix`."""
    program, quantizer, values = (f"{prefix}_{x}.mem" for x in ("program", "quantizer", "values"))
    thresholds = f"{prefix}_thresholds"
    parameters = _parameters(schedule.shape) | {
        "ProgramFile": program,
        "QuantizerFile": quantizer,
        "ThresholdFiles": thresholds,
        "ValueFile": values,
    }
    tables = {program: _table(_program(schedule))}
    shape = schedule.shape
    if shape.rows and shape.scaled:
        tables[quantizer] = _table(_multiplications(schedule))
    elif shape.rows:
        tables |= _searches(schedule, thresholds)
    if not shape.value_codes:
        rows = ([(int(x), shape.value_bits)] for x in schedule.constants)
        tables[values] = _table(rows)
    return Engine(parameters, tables)


def _parameters(shape: Shape) -> dict[str, int | str]:
    return {
        "Channels": shape.channels,
        "CodeBits": shape.code_bits,
        "Groups": shape.groups,
        "Units": shape.units,
        "Levels": shape.levels,
        "Ring": shape.ring,
        "Hidden": shape.hidden,
        "Slots": shape.slots,
        "Accumulators": shape.accumulators,
        "MagnitudeBits": shape.magnitude_bits,
        "AccBits": shape.acc_bits,
        "HiddenBits": shape.hidden_bits,
        "Scaled": int(shape.scaled),
        "FactorBits": shape.factor_bits,
        "TermBits": shape.term_bits,
        "Shift": shape.shift,
        "Values": shape.values,
        "ValueBits": shape.value_bits,
        "ValueCodes": int(shape.value_codes),
    }


def _bits(count: int) -> int:
    """Of a number below `count`."""
    return (count - 1).bit_length()


def _table(rows: Iterable[Iterable[Field]]) -> str:
    """A word a line, the first field of each in the low bits."""
    lines = []
    for row in rows:
        word = place = 0
        for value, bits in row:
            word |= (value & ((1 << bits) - 1)) << place
            place += bits
        lines.append(f"{word:0{-(-place // 4)}x}\n")
    return "".join(lines)


def _program(schedule: Schedule) -> Iterable[list[Field]]:
    shape = schedule.shape
    address_bits = _bits(shape.groups) + max(1, _bits(shape.words))
    for slot in range(shape.slots):
        value = int(schedule.value[slot])
        row: list[Field] = [
            (int(flags[slot]), 1)
            for flags in (schedule.wait, schedule.last, schedule.clear, schedule.emit)
        ]
        row += [(int(value >= 0), 1), (max(value, 0), max(1, _bits(shape.groups)))]
        for weight, address, accumulator in zip(
            schedule.weights[slot].tolist(),
            schedule.addresses[slot].tolist(),
            schedule.accumulators[slot].tolist(),
            strict=True,
        ):
            row += [(address, address_bits), (accumulator, _bits(shape.accumulators))]
            row += [(abs(weight), shape.magnitude_bits), (int(weight < 0), 1)]
        yield row


def _multiplications(schedule: Schedule) -> Iterable[list[Field]]:
    shape = schedule.shape
    for factors, terms in zip(schedule.factors.tolist(), schedule.terms.tolist(), strict=True):
        row: list[Field] = []
        for factor, term in zip(factors, terms, strict=True):
            row += [(factor, shape.factor_bits), (term, shape.term_bits)]
        yield row


def _searches(schedule: Schedule, files: str) -> dict[str, str]:
    """For each group and bit of a code: the thresholds that may decide it, by the bits above."""
    shape, tables = schedule.shape, {}
    for group in range(shape.groups):
        for known in range(shape.hidden_bits):
            step = 1 << (shape.hidden_bits - known)
            deciding = np.arange(1 << known) * step + step // 2 - 1
            chosen = schedule.thresholds[:, group][:, deciding].reshape(-1).tolist()
            tables[f"{files}{group:02d}{known}.mem"] = _table([(x, shape.acc_bits)] for x in chosen)
    return tables
