"""Draws the medians of all tools: one panel for each task and data set, logarithmic."""

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"})

from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import NullLocator  # noqa: E402

OURS, OTHERS = "#0b6e4f", "#9aa5b1"
#: Seconds at the left and the right edge of every panel, so that bars of all panels compare.
LIMITS = 0.001, 300


def write(results, path):
    """Writes the picture as SVG, the same bytes for the same results."""
    pairs = results.pairs()
    columns = 3
    rows = -(-len(pairs) // columns)
    figure, panels = pyplot.subplots(rows, columns, figsize=(13, 2.4 * rows), squeeze=False)
    for panel in panels.flat[len(pairs) :]:
        panel.axis("off")
    for panel, (task, dataset) in zip(panels.flat, pairs, strict=False):
        draw(panel, results, task, dataset)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def draw(panel, results, task, dataset):
    """One panel: the fastest on top."""
    found = [
        (results.median("wall", tool=tool, task=task, dataset=dataset), tool) for tool in results.tools(task, dataset)
    ]
    found = sorted(((wall, tool) for wall, tool in found if wall), reverse=True)
    colours = [OURS if tool.startswith("sliceflight") else OTHERS for _, tool in found]
    panel.barh([tool for _, tool in found], [wall for wall, _ in found], color=colours)
    panel.set_xscale("log")
    panel.set_title(f"{task}, {dataset}: seconds", fontsize=9, loc="left")
    panel.tick_params(labelsize=7)
    for place, (wall, _) in enumerate(found):
        panel.text(wall, place, f" {wall:.3g}", va="center", fontsize=6)
    panel.set_xlim(*LIMITS)
    panel.xaxis.set_minor_locator(NullLocator())
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
