"""Faults planted in copies of a kernel of `hw/rtl`, to see that its test finds them."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.core.errors import VerificationFailed
from tests.hw.bank import Bank
from tests.hw.examples import Example

Fault = tuple[str, str]
"""Text of a source, which stands there once, and what takes its place."""


def broken_modules(sources: Sequence[Path], faults: Iterable[Fault], folder: Path) -> Path:
    """A source with copies of the modules of `sources` for every fault, called <module>_0 .."""
    text, copies = "\n".join(path.read_text() for path in sources), []
    modules = "|".join(re.findall(r"^module (\w+)", text, re.M))
    for number, (right, wrong) in enumerate(faults):
        assert text.count(right) == 1, right
        broken = text.replace(right, wrong)
        copies.append(re.sub(rf"\b({modules}) #", rf"\1_{number} #", broken))
    path = folder / f"broken_{sources[0].name}"
    path.write_text("\n".join(copies))
    return path


def is_noticed(bank: Bank, number: int, example: Example, frames: int, stalls: str) -> bool:
    """Whether an instance does not do what the example does."""
    values = example.inputs(frames, seed=1)
    try:
        found = bank.run(number, frames, values, stalls).values.tolist()
    except VerificationFailed:  # words were lost, or some came twice
        return True
    return bool(found != example.result(values).ravel().tolist())
