"""A burst of jobs from zero pods: scale out, drain, back to zero; then the same conversions without a cluster.

`python -m loadtest.burst [JOBS]` writes `.loadtest/burst.json`, the recording beside it, and says what was lost or
doubled; the exit code is 1 when anything was, when draining took more than LIMIT times the reference, or when the
two cannot be compared.
Without a cluster (KUBECONFIG unset) it measures the local stack that LOCAL_HOME names, which has no pods.
"""

import json
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from loadtest import client, recorder, reference, sample, series, target
from loadtest.cluster import Cluster

COUNT = 40
CLIENTS = 8
LIMIT = 1.6
# The reference does a part of the same work on the same machine. If it was slower, something else had slowed it.
LEAST = 0.95
LEAD_SECONDS = 5.0
ENDS = ("done", "failed", "cancelled", "expired")
# Far above what is expected: they end a run that will not end by itself.
ZERO_SECONDS, END_SECONDS, MAIL_SECONDS = 900.0, 3600.0, 300.0
FOLDER = Path(".loadtest")


def run(count: int, folder: Path) -> dict[str, Any]:
    """The burst and the reference; what came of them, also in `folder`."""
    cluster = Cluster() if os.environ.get("KUBECONFIG") else None
    where = target.find(cluster.gateway() if cluster else "")
    video = sample.make(folder / "sample.mp4")
    account = client.Account(where)
    _zero(cluster, "before the burst")
    with recorder.Recorder(folder / "burst.jsonl", recorder.sources(cluster, where.rabbitmq), account) as recording:
        time.sleep(LEAD_SECONDS)
        result = _burst(recording, account, cluster, video, count)
    samples = series.read(folder / "burst.jsonl")
    result |= {"peaks": _peaks(samples), "answers": _answers(samples)}
    result["reference"] = reference.seconds(video, count)
    marks = series.Marks(**result["marks"])
    result |= {"drain": marks.drain, "ratio": marks.drain / result["reference"]}
    (folder / "burst.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _burst(
    recording: recorder.Recorder, account: client.Account, cluster: Cluster | None, video: Path, count: int
) -> dict[str, Any]:
    marks = {"first_upload": recording.tick}
    asker = threading.Timer(LEAD_SECONDS, recording.ask, [True])  # the uploads wake upload alone, then convert
    asker.start()
    with ThreadPoolExecutor(CLIENTS) as clients:
        accepted = list(clients.map(lambda number: account.upload(video, f"burst-{number}"), range(count)))
    marks["accepted"] = recording.tick
    say(f"{count} accepted after {marks['accepted'] - marks['first_upload']:.1f} s")
    jobs = _until(lambda: _ended(account, count), END_SECONDS, "the end of all jobs")
    marks["converted"] = recording.tick
    say(f"all jobs have ended after {marks['converted'] - marks['first_upload']:.1f} s")
    mails = _mails(account, count)
    marks["mailed"] = recording.tick
    jobs = account.jobs()
    asker.join()
    time.sleep(2 * recorder.PERIOD_SECONDS)  # one more sample, with the end of all jobs in it
    recording.ask(False)
    _zero(cluster, "after the burst")
    marks["zero"] = recording.tick
    say(f"at zero again after {marks['zero'] - marks['first_upload']:.1f} s")
    return {"count": count, "marks": marks, "refused": dict(account.refused), "outcome": outcome(accepted, jobs, mails)}


def outcome(accepted: list[str], jobs: list[dict[str, Any]], mails: list[dict[str, str]]) -> dict[str, Any]:
    """What became of the accepted jobs: counts, and the ids of those lost or doubled."""
    done = {job["id"]: job["mp3"] for job in jobs if job["state"] == "done" and job["mp3"]}
    told = Counter({job: sum(mp3["id"] in mail["text"] for mail in mails) for job, mp3 in done.items()})
    return {
        "accepted": len(set(accepted)),
        "mp3s": len({mp3["id"] for mp3 in done.values()}),
        "different_mp3s": len({mp3["sha256"] for mp3 in done.values()}),
        "mails": len(mails),
        "lost": sorted(job for job in set(accepted) if not told[job]),
        "doubled": sorted({job for job in told if told[job] > 1} | {job["id"] for job in jobs} - set(accepted)),
    }


def _ended(account: client.Account, count: int) -> list[dict[str, Any]] | None:
    try:
        jobs = account.jobs()
    except client.RefusedError as error:
        say(str(error))
        return None
    return jobs if sum(job["state"] in ENDS for job in jobs) >= count else None


def _mails(account: client.Account, count: int) -> list[dict[str, str]]:
    # One that is lost is for the outcome to tell, not a reason to end here.
    until = time.monotonic() + MAIL_SECONDS
    while len(mails := account.mails()) < count and time.monotonic() < until:
        time.sleep(1)
    return mails


def _peaks(samples: list[series.Sample]) -> dict[str, float]:
    names = recorded_functions(samples)
    peaks = {name: series.peak(series.column(samples, "pods", name, "ready")) for name in names}
    return peaks | {"queue video": series.peak(series.column(samples, "queues", "video"))}


def recorded_functions(samples: list[series.Sample]) -> list[str]:
    """The functions whose pods were recorded; none without a cluster."""
    return sorted({name for line in samples for name in line.get("pods") or {}})


def _answers(samples: list[series.Sample]) -> dict[str, float]:
    latencies = series.column(samples, "latency")
    return {f"p{percent}": series.percentile(latencies, percent) for percent in (50, 95, 100)}


def _zero(cluster: Cluster | None, when: str) -> None:
    if cluster:
        say(f"waiting for zero pods {when}")
        _until(cluster.gone, ZERO_SECONDS, f"zero pods {when}")


def _until(met: Callable[[], Any], seconds: float, what: str) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := met():
            return value
        time.sleep(1)
    raise TimeoutError(f"not within {seconds:.0f} s: {what}")


def say(text: str) -> None:
    """One line of the story."""
    print(text, flush=True)


def main(count: int = COUNT) -> int:
    """One burst; the exit code."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    result = run(count, FOLDER)
    print(json.dumps({key: result[key] for key in ("outcome", "refused", "peaks", "answers")}, indent=2))
    drain, alone = result["drain"], result["reference"]
    say(f"drain {drain:.0f} s ÷ two processes {alone:.0f} s = {result['ratio']:.2f} (<= {LIMIT})")
    if not comparable(result):
        say("The machine was busier during the reference than during the burst: this ratio says nothing.")
    return 0 if passed(result) else 1


def passed(result: dict[str, Any]) -> bool:
    """Whether all was done once and the drain kept its limit."""
    end = result["outcome"]
    whole = end["accepted"] == end["mp3s"] == end["mails"] == result["count"] and not (end["lost"] or end["doubled"])
    return bool(whole and comparable(result) and result["ratio"] <= LIMIT)


def comparable(result: dict[str, Any]) -> bool:
    """Whether the ratio can be true: see LEAST."""
    return bool(result["ratio"] >= LEAST)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
