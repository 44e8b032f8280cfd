"""The plots of one run as files in memory: an SVG each, and one page that holds them all."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2
from matplotlib.figure import Figure

from pipeline.report import plots
from pipeline.report.published import BAR
from pipeline.report.results import Result, Run

INDEX = "index.html"

TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ run.name }}</title>
<style>
body { font: 16px/1.5 sans-serif; color: #222 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
figure { margin: 2.5rem 0 }
img { max-width: 100%; height: auto }
table { border-collapse: collapse }
th, td { padding: .15rem 1.5rem .15rem 0; text-align: left; font-weight: normal }
td { font-variant-numeric: tabular-nums }
figcaption, th { color: #555 }
</style>
</head>
<body>
<h1>{{ run.name }}</h1>
<p>{{ run.metrics.notice }}</p>
<table>
{%- for name, value in facts %}
<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{%- endfor %}
</table>
{%- for picture in pictures %}
<figure>
<h2>{{ picture.title }}</h2>
<img alt="{{ picture.title }}: {{ picture.caption }}" src="data:image/svg+xml;base64,
{{- encoded[picture.name] }}">
<figcaption>{{ picture.caption }}</figcaption>
</figure>
{%- endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Picture:
    """A figure and what stands beside it on the page; ``name`` is that of its file."""

    name: str
    title: str
    caption: str
    figure: Figure


def plot_files(run: Run, recorded: Sequence[Run]) -> dict[str, bytes]:
    """The files of a run's plots by name; ``recorded`` are the runs to compare it with."""
    pictures = pictures_of(run, [other for other in recorded if other.name != run.name])
    images = {picture.name: plots.as_svg(picture.figure) for picture in pictures}
    return {**images, INDEX: _page(run, pictures, images).encode()}


def pictures_of(run: Run, others: Sequence[Run]) -> list[Picture]:
    """The pictures of a run, in the order of the page."""
    metrics = run.metrics
    unpruned = [run, *(other for other in others if _is_yardstick(other.result, run.result))]
    high = f"at {metrics['high_snr_db']} dB SNR or more"
    pictures = [
        Picture(
            "accuracy_over_snr.svg",
            "Accuracy over SNR",
            "Test split. Beside the run: networks of its width and of 8 bits before pruning, "
            "where they are recorded.",
            plots.accuracy_over_snr({one.name: one.metrics for one in unpruned}),
        ),
        Picture(
            "accuracy_per_class.svg",
            "Accuracy per class",
            f"Test split, {high}.",
            plots.accuracy_per_class(metrics),
        ),
        Picture(
            "confusion_matrix.svg",
            "Confusion matrix",
            f"Test split, {high}: what frames of each modulation were named, in percent.",
            plots.confusion_matrix(metrics["test_confusion_high_snr"]),
        ),
    ]
    if "pruning" in metrics:
        pictures.append(_trajectory(run))
    caption = (
        f"The challenge's cost. Published networks saw other frames than ours: their accuracies, "
        f"and the bar of {100 * BAR:g} %, do not compare with ours; their costs do."
    )
    figure = plots.cost_over_accuracy([one.metrics for one in (run, *others)])
    return [*pictures, Picture("cost_over_accuracy.svg", "Cost over accuracy", caption, figure)]


def _is_yardstick(other: Result, result: Result) -> bool:
    return other.method == "none" and other.bits in (8, result.bits)


def _trajectory(run: Run) -> Picture:
    return Picture(
        "pruning_trajectory.svg",
        "Pruning",
        "Each round cuts a share p of the weights that remain and trains on. A round that misses "
        "the criterion is undone; pruning with feedback goes on from there with a smaller p.",
        plots.pruning_trajectory(run.metrics["pruning"]),
    )


def _page(run: Run, pictures: Sequence[Picture], images: dict[str, bytes]) -> str:
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        TEMPLATE
    )
    encoded = {name: b64encode(image).decode() for name, image in images.items()}
    return template.render(run=run, facts=_facts(run.result), pictures=pictures, encoded=encoded)


def _facts(result: Result) -> list[tuple[str, str]]:
    validation = "" if result.validation is None else f"{100 * result.validation:.2f} %"
    return [
        ("bits", f"{result.bits}"),
        ("pruning", result.method),
        ("frames", result.frames),
        ("test accuracy", f"{100 * result.test:.2f} %"),
        ("validation accuracy", validation),
        ("cost", f"{result.cost:.6g}"),
        ("bit operations", f"{result.bit_operations:,}"),
        ("weight bits", f"{result.weight_bits:,}"),
        ("nonzeros", f"{result.nonzeros:,}"),
        ("eta, true ratio", f"{result.eta:g}, {result.true_ratio:g}"),
    ]
