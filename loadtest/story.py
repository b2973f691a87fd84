"""A burst in words and figures, for docs/autoscaling.md."""

import math
from typing import Any

from loadtest import burst, report, series


def told(result: dict[str, Any], samples: list[series.Sample]) -> str:
    """The burst in words and figures, as Markdown."""
    marks, end = series.Marks(**result["marks"]), result["outcome"]
    begin = marks.first_upload
    pods = ", ".join(f"{name} {result['peaks'][name]:.0f}" for name in burst.recorded_functions(samples))
    full = series.reached(samples, "convert", int(result["peaks"].get("convert", 0) or 1))
    rows = [
        ["accepted, all of them", f"{marks.accepted - begin:.0f} s"],
        ["convert at its largest scale", f"{full - begin:.0f} s" if not math.isnan(full) else "never"],
        ["converted, all of them", f"{marks.drain:.0f} s"],
        ["every mail there", f"{marks.mailed - begin:.0f} s"],
        ["no pod of any function left", f"{marks.zero - begin:.0f} s"],
    ]
    answers = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in result["answers"].items())
    sums = (
        f"{end['mp3s']} MP3s and {end['mails']} mails for {result['count']} jobs; "
        f"{len(end['lost'])} lost, {len(end['doubled'])} doubled."
    )
    ratio = (
        f"Draining took {marks.drain:.0f} s, the same {result['count']} conversions on two processes "
        f"{result['reference']:.0f} s: a ratio of {result['ratio']:.2f} (at most {burst.LIMIT})."
    )
    if not burst.comparable(result):
        ratio += (
            " **This ratio says nothing**: the reference does less and took longer, so other work slowed it. "
            "It has to be measured again on an idle machine."
        )
    refused = ", ".join(f"{status}: {count}" for status, count in result["refused"].items()) or "none"
    return "\n\n".join(
        [
            report.when(),
            "![Jobs, pods and answers during the burst](autoscaling.png)",
            f"{result['count']} videos of ten minutes at once. {sums} {ratio}",
            report.table(["after the first upload began", ""], rows),
            f"Most pods at once: {pods}. A list of the jobs took {answers}. Refused requests: {refused}.",
        ]
    )
