"""Progress of long work: a bar on a terminal, else one plain line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as rich_progress

SECONDS_BETWEEN_LINES = 10.0


def say(text: str) -> None:
    """Print one plain line to stdout, at once."""
    print(text, flush=True)


class Progress:
    """Counts work done: `advance(n, loss="0.81")` adds n units and shows the fields beside them."""

    def __init__(self, show: Callable[[int, str], None]) -> None:
        self.done = 0
        self._show = show

    def advance(self, n: int = 1, **fields: str) -> None:
        """Say that `n` more units are done."""
        self.done += n
        self._show(self.done, ", ".join(f"{name} {value}" for name, value in fields.items()))


@contextmanager
def busy(title: str) -> Iterator[None]:
    """Show that work whose length is unknown goes on, with the time it has taken so far."""
    if not sys.stdout.isatty():
        say(f"{title} ...")
        yield
        return
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.TimeElapsedColumn(),
    )
    with rich_progress.Progress(*columns, transient=True) as bar:
        bar.add_task(title, total=None)
        yield


@contextmanager
def progress(title: str, total: int, unit: str) -> Iterator[Progress]:
    """Show how far `total` units of work are, with rate and time left, while the block runs."""
    shown = _bar if sys.stdout.isatty() else _lines
    with shown(title, total, unit) as result:
        yield result


@contextmanager
def _bar(title: str, total: int, unit: str) -> Iterator[Progress]:
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.TextColumn("{task.completed:,}/{task.total:,} " + unit),
        rich_progress.TextColumn("{task.fields[rate]}"),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[extra]}"),
    )
    with rich_progress.Progress(*columns) as bar:
        task = bar.add_task(title, total=total, rate="", extra="")
        started = time.monotonic()

        def show(done: int, extra: str) -> None:
            rate = f"{_rate(done, started):,.4g} {unit}/s"
            bar.update(task, completed=done, rate=rate, extra=extra)

        yield Progress(show)


@contextmanager
def _lines(title: str, total: int, unit: str) -> Iterator[Progress]:
    started = last = time.monotonic()
    latest = (0, "")

    def show(done: int, extra: str) -> None:
        nonlocal last, latest
        latest = (done, extra)
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            left = (total - done) / _rate(done, started)
            say(_line(title, done, total, unit, started, f"{left:,.0f} s left", extra))

    yield Progress(show)
    done, extra = latest
    took = f"in {time.monotonic() - started:.1f} s"
    say(_line(title, done, total, unit, started, took, extra))


def _line(
    title: str, done: int, total: int, unit: str, started: float, clock: str, extra: str
) -> str:
    parts = [f"{done:,}/{total:,} {unit}", f"{_rate(done, started):,.4g} {unit}/s", clock, extra]
    return f"{title}: " + ", ".join(part for part in parts if part)


def _rate(done: int, started: float) -> float:
    """Units per second so far; never zero, so that it can divide."""
    return max(done, 1e-9) / max(time.monotonic() - started, 1e-9)
