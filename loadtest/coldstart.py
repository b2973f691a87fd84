"""Cold starts: each function from no pods to a useful answer, in turns with the same image as a bare Deployment.

`python -m loadtest.coldstart [RUNS]` on an otherwise idle cluster; writes its table into docs/autoscaling.md. The exit
code is 1 when a function's p50 is more than ABOVE s over the bare Deployment's, or its p95 over P95 s.
"""

import json
import logging
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtest import client, report, series, target
from loadtest.bare import Bare
from loadtest.cluster import FUNCTIONS, Cluster, NoClusterError
from loadtest.questions import NoAnswerError, Questions
from local import media

RUNS = 10
ABOVE = 0.3
P95 = 2.5
GONE_SECONDS, JOB_SECONDS = 900.0, 300.0
# kubelet looks at its containers once a second. What waits for pods to go would begin at the same moment of that second
# each time, the one of the two measurements at another than the other: a random part of a second makes it fair.
REST_SECONDS = (2.0, 3.0)
# upload comes last: its job wakes convert and notify, which then fall asleep while the next round begins.
ORDER = ("auth", "download", "convert", "notify", "upload")
FOLDER = Path(".loadtest")


@dataclass(frozen=True)
class Row:
    """The seconds of one function's runs, through Knative and as a bare Deployment."""

    function: str
    knative: list[float]
    bare: list[float]

    @property
    def above(self) -> float:
        """How far the median through Knative is over the bare one's."""
        return series.percentile(self.knative, 50) - series.percentile(self.bare, 50)

    @property
    def passed(self) -> bool:
        """Whether both bars are met."""
        return self.above <= ABOVE and series.percentile(self.knative, 95) <= P95


def measure(runs: int, folder: Path) -> list[Row]:
    """All rounds. Raises NoAnswerError, NoTargetError, NoClusterError."""
    cluster = Cluster()
    where = target.find(cluster.gateway())
    folder.mkdir(parents=True, exist_ok=True)
    video = folder / "cold.mp4"
    if not video.exists():
        media.make_sample(video)
    account = client.Account(where)
    questions = Questions(where, cluster, account, _finished_job(account, video), video)
    rows = [Row(name, [], []) for name in ORDER]
    with Bare(cluster, FUNCTIONS) as bare:
        for number in range(runs):
            for row in rows:
                _round(row, questions, bare, cluster, bare_first=number % 2 == 0)
    return rows


def _round(row: Row, questions: Questions, bare: Bare, cluster: Cluster, bare_first: bool) -> None:
    # In turns, each time the other one first: what slows the machine for a while slows both.
    name = row.function

    def as_deployment() -> None:
        bare.scale(name, 1)
        row.bare.append(questions.directly(name, bare.address(name)))
        bare.scale(name, 0)

    def through_knative() -> None:
        row.knative.append(questions.through_knative(name))

    def at_rest() -> bool:
        # An upload wakes convert and notify as well: its mail tells that they are through with it.
        return bare.gone() and cluster.gone(name) and questions.settled()

    for measured in (as_deployment, through_knative) if bare_first else (through_knative, as_deployment):
        wait(at_rest, GONE_SECONDS, f"{name} has no pods")
        time.sleep(random.uniform(*REST_SECONDS))  # noqa: S311 - no secret
        measured()
    print(f"{name:<9} knative {row.knative[-1]:.2f} s   bare {row.bare[-1]:.2f} s", flush=True)


def _finished_job(account: client.Account, video: Path) -> str:
    job = account.upload(video, "cold-start")

    def over() -> bool:
        found = account.call("GET", f"/v1/jobs/{job}").json()
        return bool(found["state"] == "done" and found["mail"] == "sent")

    wait(over, JOB_SECONDS, "the first job is done and its mail sent")
    return job


def wait(met: Callable[[], bool], seconds: float, what: str) -> None:
    """Asks once a second. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while not met():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(1)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        f"| function, {len(rows[0].knative)} runs | Knative p50 | p95 | bare Deployment p50 | p95 | p50 above it | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [series.percentile(values, percent) for values in (row.knative, row.bare) for percent in (50, 95)]
        figures = " | ".join(f"{cell:.2f} s" for cell in cells)
        lines.append(f"| {row.function} | {figures} | {row.above:+.2f} s | {'ok' if row.passed else 'missed'} |")
    return "\n".join(lines)


def main(runs: int = RUNS) -> int:
    """Measures, prints, writes; the exit code."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    rows = measure(runs, FOLDER)
    (FOLDER / "coldstart.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    print(table(rows))
    report.replace("coldstart", f"{report.when()}\n\n{table(rows)}")
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:2])))
    except (target.NoTargetError, NoClusterError, NoAnswerError, TimeoutError) as error:
        sys.exit(str(error))
