"""A process that stood still for longer than its lease and goes on: the job is another's by then, and stays it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests import media
from tests.e2e.account import Account, until
from tests.e2e.deliveries import deliver
from tests.e2e.outcome import only_one_mail_came, only_one_mp3_is_left
from tests.e2e.stored import Stored

Settled = Callable[[str], dict[str, Any]]
pytestmark = pytest.mark.timeout(400)  # two conversions of 3000 s on a busy machine, and a lease between them
LOST = "no longer this run's"  # what a function logs when it finds out


@pytest.fixture(scope="module")
def long_clip() -> bytes:
    return media.make("flac", seconds=3000)


def until_done_by(address: str, queue: str, job_id: str) -> None:
    # 409 for as long as the lease of the one that stands still has not lapsed.
    until(lambda: deliver(address, queue, job_id) == 200, 150, "another process has done it")


def finds_out(stack: Any, name: str, job_id: str) -> None:
    """Waits until the process has noticed that the job is another's."""

    def noticed() -> bool:
        lines = stack.child(name).log.read_text(encoding="utf-8").splitlines()
        return any(job_id in line and LOST in line for line in lines)

    until(noticed, 60, f"{name} has noticed that it lost the job")


@pytest.mark.parametrize("thawed", ["while the other one converts", "when the other one is done"])
def test_a_conversion_thawed_overwrites_nothing_and_removes_what_it_made(
    stack: Any,
    another: Callable[[str], str],
    account: Account,
    stored: Stored,
    records: Any,
    settled: Settled,
    long_clip: bytes,
    thawed: str,
) -> None:
    before, second = stored.counts(), another("convert")
    job_id = account.upload(long_clip, "long.flac")
    until(lambda: stored.counts()["mp3s.chunks"] > before["mp3s.chunks"], 60, "some of the MP3 is stored")

    with ThreadPoolExecutor(1) as pool:
        with stack.frozen("convert"):
            first = records.find_one({"_id": job_id})
            assert first["state"] == "converting"
            other = pool.submit(until_done_by, second, "video", job_id)
            until(lambda: records.find_one({"_id": job_id})["work"]["convert"]["attempts"] == 2, 60, "a second run")
            if thawed == "when the other one is done":
                other.result()
        finds_out(stack, "convert", job_id)
        if thawed == "while the other one converts":
            job = records.find_one({"_id": job_id})
            assert job["state"] == "converting", "it went on too long for this test to mean anything"
            theirs = {entry["file_id"] for entry in first["litter"]}
            until(lambda: not stored.has("mp3s", theirs), 30, "the one that was thawed has removed what it made")
            assert records.find_one({"_id": job_id})["state"] == "converting"
        other.result()

    mp3 = account.job(job_id)["mp3"]
    job = settled(job_id)
    only_one_mp3_is_left(account, stored, before, job)
    only_one_mail_came(account)
    assert job["work"]["convert"]["attempts"] == 2
    assert account.job(job_id)["mp3"] == mp3
    assert job["mp3"]["file_id"] not in {entry["file_id"] for entry in first["litter"]}
    assert abs(job["result"]["duration"] - 3000) < 0.1


def test_a_mail_thawed_before_it_was_handed_over_is_not_sent_again(
    stack: Any, another: Callable[[str], str], account: Account, records: Any, settled: Settled, clip: bytes
) -> None:
    second = another("notify")
    with ExitStack() as freezer:
        with stack.frozen("inbox"):
            job_id = account.ended(account.upload(clip))["id"]
            until(
                lambda: "token" in records.find_one({"_id": job_id})["work"].get("notify", {}), 30, "a mail under way"
            )
            time.sleep(0.2)  # it connects
            freezer.enter_context(stack.frozen("notify"))

        until_done_by(second, "mp3", job_id)
        assert account.job(job_id)["mail"] == "sent"
    finds_out(stack, "notify", job_id)

    assert settled(job_id)["work"]["notify"]["attempts"] == 2
    only_one_mail_came(account)
