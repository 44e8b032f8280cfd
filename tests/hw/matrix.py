"""A bank of examples of one kernel and of its faults, as the tests of the stream modules use it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.hw.bank import RTL, Bank, build_bank
from tests.hw.examples import Example
from tests.hw.faults import Fault, broken_modules, is_noticed

STALLS = ("none", "random 40", "bursts", "stop", "full", "reset")
FRAMES = 5


@dataclass(frozen=True)
class Matrix:
    """Examples by name, then those whose module is broken by a fault, by the fault's name."""

    bank: Bank
    examples: Mapping[str, Example]
    broken: Mapping[str, Example]

    def agrees(self, name: str, stalls: str, seed: int = 1) -> bool:
        number, example = list(self.examples).index(name), self.examples[name]
        values = example.inputs(FRAMES, seed)
        found = self.bank.run(number, FRAMES, values, stalls, seed).values.tolist()
        return bool(found == example.result(values).ravel().tolist())

    def interval(self, name: str) -> float:
        """Cycles a frame of the bank."""
        number, example = list(self.examples).index(name), self.examples[name]
        one, many = (
            self.bank.run(number, n, example.inputs(n, 1), "none").cycles for n in (1, FRAMES)
        )
        return (many - one) / (FRAMES - 1)

    def notices(self, fault: str, stalls: str) -> bool:
        number = len(self.examples) + list(self.broken).index(fault)
        return is_noticed(self.bank, number, self.broken[fault], 4 * FRAMES, stalls)


def build_matrix(
    folder: Path,
    words: int,
    examples: Mapping[str, Example],
    faults: Mapping[str, tuple[str, Fault]],
    sources: Sequence[Path] = (),
) -> Matrix:
    """Builds the bank; `faults` have the example that each is planted in, `sources` are those of
    a module that is not in `hw/rtl`."""
    (module,) = {example.instance.module for example in examples.values()}
    broken = {}
    for number, (name, (example, _)) in enumerate(faults.items()):
        instance = replace(examples[example].instance, module=f"{module}_{number}")
        broken[name] = replace(examples[example], instance=instance)
    own = sources or [RTL / f"{module}.sv"]
    source = broken_modules(own, [fault for _, fault in faults.values()], folder)
    everything = (*examples.values(), *broken.values())
    tables = dict(table for example in everything for table in example.tables)
    instances = [example.instance for example in everything]
    return Matrix(
        build_bank(instances, folder, words, tables, (*sources, source)), examples, broken
    )
