"""Figures of recorded runs. Each takes metrics as they stand in `metrics.json`.

Figures are made without pyplot, so there is no display and no state between them. Colours are those
of Okabe and Ito, which colour-blind readers can tell apart; shapes and texts say the same again.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from pipeline.report.published import BAR, PUBLISHED
from pipeline.report.results import Metrics, Result, result_of

BLUE, VERMILION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
PURPLE, SKY, GREY = "#cc79a7", "#56b4e9", "#666666"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
METHODS = {"none": ("not pruned", GREY, "o"), "imp": ("IMP", BLUE, "s"), "fmp": ("FMP", GREEN, "^")}
"""Name, colour and marker of each method of pruning."""
SMALL = 8
"""Points of the smallest text, at the size that a figure is made for."""
MANY_ROUNDS = 30
"""From here on there is no room for a number on each round."""


def accuracy_over_snr(runs: Mapping[str, Metrics]) -> Figure:
    """Test accuracy over SNR, a line for each run; ``runs`` is metrics by name."""
    figure, axes = _figure(6.4, 4.2)
    classes = 1
    for (name, metrics), colour, marker in zip(
        runs.items(), cycle(COLOURS), cycle(MARKERS), strict=False
    ):
        test = metrics["accuracy"]["test"]
        points = sorted((int(snr), share) for snr, share in test["accuracy_by_snr_db"].items())
        snrs, shares = zip(*points, strict=True)
        label = f"{name} ({100 * test['accuracy']:.1f} % of all)"
        percent = [100 * share for share in shares]
        axes.plot(snrs, percent, color=colour, marker=marker, markersize=4, label=label)
        classes = max(classes, len(test["accuracy_by_class_high_snr"]))
    chance = 100 / classes
    axes.axhline(chance, color=GREY, linestyle=":", label=f"chance ({chance:.1f} %)")
    axes.set(xlabel="SNR (dB)", ylabel="test accuracy (%)", ylim=(0, 101))
    axes.xaxis.set_major_locator(MaxNLocator(11, integer=True, steps=[2, 4, 5, 10]))
    axes.legend(loc="upper left", fontsize=SMALL)
    return figure


def accuracy_per_class(metrics: Metrics) -> Figure:
    """Test accuracy of each class at high SNR, the best on top."""
    test = metrics["accuracy"]["test"]
    of_class = sorted(test["accuracy_by_class_high_snr"].items(), key=lambda item: item[1])
    names, percent = [name for name, _ in of_class], [100 * share for _, share in of_class]
    figure, axes = _figure(6.4, 1.2 + 0.2 * len(names))
    bars = axes.barh(names, percent, color=BLUE)
    axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=SMALL)
    mean = 100 * test["accuracy_high_snr"]
    axes.axvline(mean, color=VERMILION, linestyle="--", label=f"all classes: {mean:.1f} %")
    axes.set(xlabel=f"test accuracy at {_high_snr(metrics)} (%)", xlim=(0, 108))
    axes.set_xticks(range(0, 101, 20))
    axes.tick_params(axis="y", labelsize=SMALL)
    axes.grid(visible=False, axis="y")
    axes.margins(y=0.01)
    axes.legend(loc="lower right", fontsize=SMALL)
    return figure


def confusion_matrix(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """What frames of each class were named, in % of the class's; ``counts`` is class -> named -> n.

    Numbers below 1 % are left out.
    """
    classes = list(dict.fromkeys([*counts, *(named for row in counts.values() for named in row)]))
    percent = _percent(counts, classes)
    size = 1.8 + 0.27 * len(classes)
    figure, axes = _figure(size + 0.7, size)
    axes.grid(visible=False)
    image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(percent):
        if value >= 1:
            colour = "white" if value > 55 else "black"
            style: dict[str, Any] = {"color": colour, "fontsize": SMALL - 1}
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", **style)
    axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=SMALL)
    axes.set_yticks(range(len(classes)), classes, fontsize=SMALL)
    axes.set(xlabel="named", ylabel="modulation of the frame")
    axes.tick_params(length=0)
    figure.colorbar(image, label="frames of the modulation (%)", shrink=0.6, aspect=30)
    return figure


def pruning_trajectory(pruning: Metrics) -> Figure:
    """Validation accuracy, nonzeros and p over the rounds of a pruning; those that failed marked.

    ``pruning`` is that section of the metrics. Round 0 is the network before pruning.
    """
    rounds = pruning["rounds"]
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    accuracy, nonzeros, share = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.4))
    start = 100 * pruning["start_validation_accuracy"]
    _trajectory(accuracy, start, [100 * one["validation_accuracy"] for one in rounds], rounds)
    criterion = 100 * pruning["criterion_accuracy"]
    accuracy.axhline(
        criterion, color=VERMILION, linestyle="--", label=f"criterion: {criterion:.2f} %"
    )
    accuracy.set_ylabel("validation accuracy (%)")
    accuracy.legend(fontsize=SMALL)
    start = sum(pruning["start_cost"]["nonzeros"].values())
    _trajectory(nonzeros, start, [sum(one["nonzeros"].values()) for one in rounds], rounds)
    nonzeros.set_ylabel("weights that are not zero")
    _plain_log(nonzeros)
    _shares(share, rounds)
    share.set_xlabel("round")
    share.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (accuracy, nonzeros, share):
        _clean(axes)
    return figure


def cost_over_accuracy(runs: Sequence[Metrics]) -> Figure:
    """The challenge's cost over test accuracy: runs filled, published points hollow.

    Pruned networks have a scale of their own. The digit beside a point is its bits; a triangle to
    the right says that the published accuracy is a bound.
    """
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.4))
    results = [result_of(metrics) for metrics in runs]
    for axes, pruned in zip(panels, (False, True), strict=True):
        _clean(axes)
        _plain_log(axes)
        axes.axvline(100 * BAR, color=VERMILION, linestyle=":", linewidth=1, zorder=0)
        for group, style in ((PUBLISHED, _hollow), (results, _filled)):
            for result in group:
                if (result.method != "none") is pruned:
                    _cost(axes, result, style)
        axes.set_ylabel("cost, pruned (baseline: 1)" if pruned else "cost,\nnot pruned")
        axes.margins(x=0.1, y=0.15)
    panels[-1].set_xlabel("test accuracy (%)")
    figure.legend(handles=_cost_legend(), loc="outside upper center", ncols=2, fontsize=SMALL)
    return figure


def as_svg(figure: Figure) -> bytes:
    """A figure as SVG; the same bytes for the same figure."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "amcflow"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, of a size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _clean(axes)
    return figure, axes


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _plain_log(axes: Axes) -> None:
    """A logarithmic y axis, with numbers as people write them."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _high_snr(metrics: Metrics) -> str:
    return f"{metrics['high_snr_db']} dB SNR or more"


def _percent(
    counts: Mapping[str, Mapping[str, int]], classes: Sequence[str]
) -> NDArray[np.float64]:
    """Rows of shares in percent, of all that a row counts; a class without frames has zeros."""
    table = np.array([[counts.get(a, {}).get(b, 0) for b in classes] for a in classes], float)
    return 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)


def _trajectory(
    axes: Axes, start: float, values: Sequence[float], rounds: Sequence[Metrics]
) -> None:
    """A value over rounds: a line through the networks that were kept, crosses for the others."""
    numbered = list(zip(range(1, len(rounds) + 1), values, rounds, strict=True))
    kept = [(0, start), *((n, value) for n, value, one in numbered if one["met"])]
    failed = [(n, value) for n, value, one in numbered if not one["met"]]
    axes.plot(*zip(*kept, strict=True), color=BLUE, marker="o", markersize=4, label="met: kept")
    if failed:
        style: dict[str, Any] = {"color": VERMILION, "marker": "x", "linestyle": ""}
        axes.plot(*zip(*failed, strict=True), **style, label="not met: undone")


def _shares(axes: Axes, rounds: Sequence[Metrics]) -> None:
    """p of each round as bars, those of failed rounds hatched."""
    percent = [100 * one["share"] for one in rounds]
    numbers = range(1, len(rounds) + 1)
    bars = axes.bar(numbers, percent, color=SKY, edgecolor=BLUE, linewidth=0.6)
    for bar, one in zip(bars, rounds, strict=True):
        if not one["met"]:
            bar.set(facecolor="white", edgecolor=VERMILION, hatch="////")
    if 0 < len(rounds) < MANY_ROUNDS:
        axes.bar_label(bars, fmt="%.3g", padding=1, fontsize=SMALL - 1)
    axes.set(ylabel="p (%)", ylim=(0, 1.35 * max(percent, default=1)))


def _filled(colour: str) -> dict[str, Any]:
    """The style of a point that stands for a run of ours."""
    return {"color": colour}


def _hollow(colour: str) -> dict[str, Any]:
    """The style of a point that was published."""
    return {"facecolors": "none", "edgecolors": colour, "linewidths": 1.3}


def _cost(axes: Axes, result: Result, style: Callable[[str], dict[str, Any]]) -> None:
    """A point with its bits beside it, to the left of a bound."""
    _, colour, marker = METHODS[result.method]
    at = (100 * result.test, result.cost)
    axes.scatter(*at, s=34, marker=">" if result.at_least else marker, **style(colour))
    side, align = (-1, "right") if result.at_least else (1, "left")
    where: dict[str, Any] = {"xytext": (6 * side, 0), "textcoords": "offset points", "ha": align}
    axes.annotate(str(result.bits), at, **where, va="center", fontsize=SMALL, color=colour)


def _cost_legend() -> list[Line2D]:
    methods = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
        for name, colour, marker in METHODS.values()
    ]
    plain: dict[str, Any] = {"color": "black", "linestyle": ""}
    published = "published, on RadioML 2018.01A (triangle to the right: at least)"
    return [
        *methods,
        Line2D([], [], **plain, marker="o", label="recorded runs, on their own frames"),
        Line2D([], [], **plain, marker=">", markerfacecolor="none", label=published),
        Line2D(
            [], [], color=VERMILION, linestyle=":", label=f"the challenge's bar: {100 * BAR:g} %"
        ),
    ]
