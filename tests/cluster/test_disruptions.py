"""Many jobs, and meanwhile one thing after another goes: every job is done and told once, and no client is lied to.

JOBS=40 for the whole proof; docs/contributing.md has what it showed.
"""

import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests import media
from tests.cluster import load
from tests.cluster.conftest import Stage
from tests.cluster.site import FUNCTIONS, Site
from tests.e2e.account import PASSWORD, Account, until

JOBS = int(os.environ.get("JOBS") or 14)
EVERY = JOBS // 7  # so many jobs are done between one disruption and the next
END_SECONDS = 1800


def test_all_jobs_survive_whatever_goes_meanwhile(
    cluster: Site, new_account: Callable[[], Account], records: Any, stage: Stage
) -> None:
    account, watcher = new_account(), new_account()
    mine = {"email": account.email}
    credentials = {"email": watcher.email, "password": PASSWORD}
    calls = [
        lambda: watcher.call("POST", "/v1/tokens", json=credentials),
        lambda: watcher.call("GET", "/v1/jobs"),
    ]
    clip = media.make("flac", seconds=1500)

    with load.under(calls) as answers, ThreadPoolExecutor(4) as pool:
        uploads = [pool.submit(uploaded, account, clip, answers) for _ in range(JOBS)]
        for number, (name, disrupt) in enumerate(disruptions(cluster).items()):
            until(lambda done=number * EVERY: ended(records, mine) > done, END_SECONDS, f"the jobs before: {name}")
            with stage(f"{JOBS} jobs: {name}"):
                disrupt()
        with stage(f"{JOBS} jobs: from the last of these to the last job's end"):
            job_ids = [upload.result() for upload in uploads]
            until(lambda: ended(records, mine) == JOBS, END_SECONDS, "the end of all jobs")

    assert set(answers.of()) <= {"200", "202", "503"}, answers.of()
    assert records.count_documents(mine) == len(set(job_ids)) == JOBS
    assert {job["state"] for job in records.find(mine)} == {"done"}
    account.mails(JOBS, END_SECONDS)
    # What is still on its way brings nothing new.
    until(lambda: not any(cluster.depths().values()), END_SECONDS, "all queues are empty")
    mails = account.inbox()
    assert len(mails) == len({mail["message_id"] for mail in mails}) == JOBS
    assert len({job["mp3"]["file_id"] for job in records.find(mine)}) == JOBS


def uploaded(account: Account, clip: bytes, answers: load.Answers) -> str:
    """The id of the job, once it was accepted; a client that is told to come back later does so."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    while True:
        answer = account.call("POST", "/v1/jobs", files={"file": ("clip.flac", clip)}, headers=key)
        answers.count(load.word(answer))
        if answer.status_code == requests.codes.accepted:
            return str(answer.json()["id"])
        time.sleep(float(answer.headers["Retry-After"]))


def ended(records: Any, mine: dict[str, str]) -> int:
    return int(records.count_documents({**mine, "state": {"$in": ["done", "failed", "cancelled", "expired"]}}))


def disruptions(cluster: Site) -> dict[str, Callable[[], object]]:
    """What goes, in this order, by what it is called."""

    def roll_outs() -> None:
        with ThreadPoolExecutor(len(FUNCTIONS)) as pool:
            list(pool.map(cluster.roll_out, FUNCTIONS))

    return {
        "convert's pods deleted": lambda: cluster.delete_pods(cluster.pods("convert")),
        "both source pods deleted": lambda: [
            cluster.delete_pods(cluster.source_pods(name)) for name in ("video", "mp3")
        ],
        "the broker killed": lambda: cluster.restart("rabbitmq"),
        "the activator's pod deleted": cluster.replace_activator,
        "a new revision of every function": roll_outs,
    }
