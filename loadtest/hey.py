"""hey (https://github.com/rakyll/hey) against login, download, and auth at zero. `python -m loadtest.hey`

hey is found on the PATH or named by HEY. Each run is bounded by a number of requests; its figures are percentiles of
all answers, and every status that is not 200 is named.
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from loadtest import client, coldstart, report, sample, series, target
from loadtest.cluster import Cluster

MISSING = (
    "hey is missing: `apt-get install hey` (Debian, Ubuntu) or `go install github.com/rakyll/hey@latest` brings it; "
    "HEY=path or the PATH names it."
)
GONE_SECONDS = 900.0
JOB_SECONDS = 300.0
SECONDS = 60  # of sound in the MP3 that is downloaded


class MissingError(Exception):
    """hey isn't there; the message says how to get it."""


@dataclass(frozen=True)
class Run:
    """One run: `words` are hey's own, `answers` the seconds and status of each request."""

    name: str
    words: list[str]
    answers: list[tuple[float, int]]

    @property
    def row(self) -> list[str]:
        """Its line in the table."""
        seconds = [seconds for seconds, _ in self.answers]
        times = [f"{1000 * series.percentile(seconds, percent):.0f} ms" for percent in (50, 95, 100)]
        statuses = Counter(status for _, status in self.answers)
        return [self.name, *times, ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))]


def program() -> str:
    """Where hey is. Raises MissingError."""
    if found := shutil.which(os.environ.get("HEY") or "hey"):
        return found
    raise MissingError(MISSING)


def parse(text: str) -> list[tuple[float, int]]:
    """The answers in hey's CSV; requests that got none are not in it."""
    return [(float(row["response-time"]), int(row["status-code"])) for row in csv.DictReader(io.StringIO(text))]


def hey(name: str, count: int, at_once: int, words: list[str]) -> Run:
    """One run of `count` requests, `at_once` of them at a time. Those that got no answer count as status 0."""
    command = [program(), "-n", str(count), "-c", str(at_once), "-t", "120", "-o", "csv", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answers = parse(done.stdout)
    return Run(name, words, answers + [(float("nan"), 0)] * (count - len(answers)))


def runs(folder: Path) -> list[Run]:
    """The three runs, the one from zero first where there is a cluster."""
    cluster = Cluster() if os.environ.get("KUBECONFIG") else None
    where = target.find(cluster.gateway() if cluster else "")
    account = client.Account(where)
    mp3 = _mp3(account, sample.make(folder / f"sample-{SECONDS}.mp4", SECONDS))
    body = ["-m", "POST", "-T", "application/json", "-d", json.dumps(account.credentials)]
    login = [*body, f"{where.gateway}/v1/tokens"]
    found = []
    if cluster:
        coldstart.wait(lambda: cluster.gone("auth"), GONE_SECONDS, "auth has no pods")
        found.append(hey("10 log-ins at once, auth at zero", 10, 10, login))
    found.append(hey("100 log-ins, 4 at once", 100, 4, login))
    fetch = ["-H", f"Authorization: {account.headers['Authorization']}", f"{where.gateway}/v1/mp3s/{mp3}"]
    found.append(hey(f"200 downloads of an MP3 of {SECONDS} s, 8 at once", 200, 8, fetch))
    return found


def _mp3(account: client.Account, video: Path) -> str:
    job = account.upload(video, "hey")
    path = f"/v1/jobs/{job}"
    coldstart.wait(lambda: account.call("GET", path).json()["state"] == "done", JOB_SECONDS, "the MP3")
    return str(account.call("GET", path).json()["mp3"]["id"])


def table(found: list[Run]) -> str:
    """The runs as Markdown."""
    return report.table(["hey", "p50", "p95", "longest", "answers by status"], [run.row for run in found])


def main() -> int:
    """All runs, as a table; the exit code."""
    try:
        program()
    except MissingError as error:
        print(error, file=sys.stderr)
        return 1
    found = runs(Path(".loadtest"))
    print(table(found))
    return 0 if all(status == 200 for run in found for _, status in run.answers) else 1


if __name__ == "__main__":
    sys.exit(main())
