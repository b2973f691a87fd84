"""The picture of a burst: jobs, pods and answers over the same time. `python -m loadtest.plot RUN.json PICTURE.png`"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from loadtest import series
from loadtest.series import Marks, Sample

# Of Okabe and Ito: told apart by readers who see fewer colours.
COLOURS = {"convert": "#d55e00", "notify": "#009e73", "upload": "#0072b2", "download": "#cc79a7", "auth": "#e69f00"}
STATES = {"queued": "#bbbbbb", "converting": "#d55e00", "done": "#0072b2"}
MOMENTS = {
    "first_upload": "burst begins",
    "accepted": "all accepted",
    "converted": "all converted",
    "mailed": "",
    "zero": "all at zero",
}


def draw(samples: Sequence[Sample], marks: Marks, picture: Path, title: str) -> None:
    """Writes the PNG."""
    figure, (jobs, scale, answers) = plt.subplots(
        3, 1, sharex=True, figsize=(11, 8.4), height_ratios=(3, 3, 2), layout="constrained"
    )
    figure.suptitle(title)
    times = series.column(samples, "t")
    _jobs(jobs, times, samples)
    _pods(scale, times, samples)
    answers.plot(times, series.column(samples, "latency"), ".", color="#555555", markersize=4)
    answers.set(yscale="log", ylabel="seconds", title="How long a list of the jobs took to answer")
    answers.set_xlabel("seconds")
    for axes in (jobs, scale, answers):
        axes.grid(alpha=0.3)
        axes.margins(x=0.01)
        for name in MOMENTS:
            axes.axvline(getattr(marks, name), color="black", linewidth=0.8, linestyle=":", alpha=0.6)
    for name, text in MOMENTS.items():
        aside = -11 if name == "zero" else 3  # the last one would lie outside
        jobs.annotate(text, (getattr(marks, name), 1.0), (aside, -4), xycoords=("data", "axes fraction"),
                      textcoords="offset points", rotation=90, va="top", fontsize=8)  # fmt: skip
    figure.savefig(picture, dpi=100, metadata={"Software": None})
    plt.close(figure)


def _jobs(axes: Any, times: Sequence[float], samples: Sequence[Sample]) -> None:
    levels = [series.column(samples, "jobs", state) for state in STATES]
    axes.stackplot(times, levels, labels=list(STATES), colors=list(STATES.values()), alpha=0.6, step="post")
    for queue, style in (("video", "-"), ("mp3", "--")):
        depth = series.column(samples, "queues", queue)
        axes.step(times, depth, style, where="post", color="black", linewidth=1.2, label=f"ready in queue {queue}")
    axes.set(ylabel="jobs, messages", title="Jobs by state, and messages that no source has taken yet")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def _pods(axes: Any, times: Sequence[float], samples: Sequence[Sample]) -> None:
    for offset, (name, colour) in enumerate(COLOURS.items()):
        shift = 0.03 * (offset - 2)  # or lines of the same height would hide each other
        ready = [count + shift for count in series.column(samples, "pods", name, "ready")]
        wanted = [count + shift for count in series.column(samples, "desired", name)]
        axes.step(times, ready, where="post", color=colour, linewidth=1.6, label=f"{name}: ready")
        axes.step(times, wanted, ":", where="post", color=colour, linewidth=1.2)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set(ylabel="pods", title="Pods that are ready (lines), and how many the autoscaler wants (dots)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def main(run: Path, picture: Path) -> None:
    """Draws what the burst left in RUN.json and in the recording beside it."""
    result = json.loads(run.read_text(encoding="utf-8"))
    samples = series.read(run.with_suffix(".jsonl"))
    title = f"{result['count']} videos of ten minutes at once, from zero pods to zero pods"
    draw(samples, Marks(**result["marks"]), picture, title)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
