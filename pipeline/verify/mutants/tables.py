"""Faults in tables, which are read when a simulation starts: a changed one needs no build."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import IntegerModel
from pipeline.verify.compare import LayerResult
from pipeline.verify.mutants.simulation import RunWith
from pipeline.verify.mutation import REFUSED, Change, Mutant


def tampered(
    folder: Path, changed: Mapping[str, str | None], run: RunWith
) -> Callable[[Path], Sequence[LayerResult]]:
    """A run with copies of the tables, of which some are other (None: missing)."""

    def tampered(scratch: Path) -> Sequence[LayerResult]:
        tables = scratch / "tables"
        tables.mkdir()
        for path in tables_of(folder):
            shutil.copyfile(path, tables / path.name)
        for name, text in changed.items():
            (tables / name).unlink()
            if text is not None:
                (tables / name).write_text(text)
        return run(tables, scratch)

    return tampered


def tables_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".inc", ".mem"))


def broken_tables(rung: str, folder: Path, run: RunWith) -> Iterator[Mutant]:
    paths = tables_of(folder)
    for path in (paths[0], paths[len(paths) // 2], paths[-1]):
        lines = path.read_text().splitlines(keepends=True)
        for kind, text in (("missing table", None), ("truncated table", "".join(lines[:-1]))):
            plant = tampered(folder, {path.name: text}, run)
            yield Mutant(rung, kind, f"{path.name}: {kind}", (REFUSED,), plant)


def of_no_frames(rung: str, folder: Path, run: RunWith) -> Mutant:
    plant = tampered(folder, {}, run)
    return Mutant(rung, "no frames", "an empty list of frames", (REFUSED,), plant)


def changed_table(
    folder: Path, change: Change, model: IntegerModel, folded: Mapping[int, LayerFolding]
) -> tuple[str, str]:
    """Name and text of the table of `$readmemh` that holds the changed integer.

    All are those of `pipeline.dataflow.operators`.
    """
    folding, layer = folded[change.layer], model.layers[change.layer]
    index = list(folded).index(change.layer)  # FINN numbers the nodes of a kind
    if change.array == "thresholds":
        channel, level = change.index
        stages = layer.output.bits
        stage = stages - 1 - _twos(level + 1)
        fold, lane = divmod(channel, folding.after)
        name = f"Thresholds_rtl_{index}_lane{lane}_stage{stage}.mem"
        word, shift = fold * 2**stage + ((level + 1) >> (stages - stage)), 0
        bits = _parameter(folder / f"Thresholds_rtl_{index}.v", r"ThresholdBits\((\d+)\)")
    elif change.array == "weights":
        out, tap, channel = change.index
        name, bits = f"DenseMVAU_rtl_{index}_weights.mem", layer.weight_bits
        column = tap * layer.weights.shape[2] + channel
        (neuron, row), (synapse, lane) = divmod(out, folding.pe), divmod(column, folding.simd)
        word = neuron * (layer.weights[0].size // folding.simd) + synapse
        shift = (row * folding.simd + lane) * bits
    else:
        name, (word, lane) = "BiasAdd_rtl_0_bias.mem", divmod(change.index[0], folding.after)
        bits = _parameter(folder / "BiasAdd_rtl_0.v", r"OutBits\((\d+)\)")
        shift = lane * bits
    lines = (folder / name).read_text().splitlines()
    lines[word] = _with_field(lines[word], shift, bits, change)
    return name, "".join(f"{line}\n" for line in lines)


def _parameter(path: Path, pattern: str) -> int:
    """A number in generated text."""
    found = re.search(pattern, path.read_text())
    assert found is not None, f"{path.name} has no {pattern}"
    return int(found[1])


def _twos(number: int) -> int:
    """How often 2 divides a number."""
    return (number & -number).bit_length() - 1


def _with_field(line: str, shift: int, bits: int, change: Change) -> str:
    """A word with another value in one of its fields, which held the old one."""
    mask = (1 << bits) - 1
    word = int(line, 16)
    held = (word >> shift) & mask
    assert held == change.old & mask, f"the table holds {held:x}, not {change.old & mask:x}"
    return f"{word ^ (held << shift) ^ ((change.new & mask) << shift):0{len(line)}x}"
