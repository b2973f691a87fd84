"""The picture of docs/benchmark.md: `python -m bench.plot POINTS.json PICTURE.png`, where there is matplotlib."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from bench.rows import Point

# Of Okabe and Ito: told apart by readers who see fewer colours.
COLOURS = {"this product, 2 cores": "#0072b2", "this product, 1 core": "#56b4e9", "the original's way": "#d55e00"}
THICKNESS = 0.26


def draw(points: Sequence[Point], picture: Path) -> None:
    """Writes the PNG: how long each way takes, and how much memory."""
    times = [point for point in points if point.panel == "time" and point.series in COLOURS]
    memory = [point for point in points if point.panel == "memory"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.6), width_ratios=(3, 2), layout="constrained")
    _bars(left, times, "{:.2f}×")
    left.axvline(1, color="black", linewidth=1, linestyle="--", label="ffmpeg, from a local file to a local file: 1×")
    left.set_title(
        "Time from video in GridFS to MP3 in GridFS,\nas a multiple of what ffmpeg takes between local files",
        loc="left",
    )
    left.set_xlabel("shorter is better")
    _bars(right, memory, "{:.0f} MiB")
    right.set_title("Memory at its highest,\nabove the idle program, by size of the video", loc="left")
    right.set_xlabel("MiB; shorter is better")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.savefig(picture, dpi=100, metadata={"Software": None})
    plt.close(figure)


def _bars(axes: Any, points: Sequence[Point], form: str) -> None:
    if not points:
        return
    groups = list(dict.fromkeys(point.group for point in points))
    for series, colour in COLOURS.items():
        found = {point.group: point.value for point in points if point.series == series}
        places = [_place(points, group, series, groups.index(group)) for group in found]
        if found:
            bars = axes.barh(places, list(found.values()), THICKNESS, color=colour, label=series)
            texts = axes.bar_label(bars, fmt=form.format, padding=3, fontsize=8)
            for text in texts:  # readable where the line of the reference passes
                text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8})
    axes.set_yticks(range(len(groups)), groups)
    axes.invert_yaxis()
    axes.set_xlim(right=1.2 * max(point.value for point in points))
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _place(points: Sequence[Point], group: str, series: str, row: int) -> float:
    # The bars of a group lie side by side around its row, however many they are.
    order = [one for one in COLOURS if any(point.group == group and point.series == one for point in points)]
    return row + (order.index(series) - (len(order) - 1) / 2) * THICKNESS


def main(points: Path, picture: Path) -> None:
    """Draws what was written to POINTS.json."""
    draw([Point(**point) for point in json.loads(points.read_text(encoding="utf-8"))], picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
