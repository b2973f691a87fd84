"""`kill -9` in the middle of a conversion: the job still ends done, once."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import media
from tests.e2e.account import Account, until
from tests.e2e.stored import Stored


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found


def converting_child(pid: int) -> int | None:
    """The child that converts, among the descendants of convert's process."""
    for descendant in tree(pid):
        if b"functions.convert.worker" in Path(f"/proc/{descendant}/cmdline").read_bytes():
            return descendant
    return None


@pytest.fixture(scope="module")
def long_clip() -> bytes:
    return media.make("wav", seconds=900)


@pytest.mark.parametrize("victim", ["convert", "its child", "the source"])
def test_the_job_still_ends_done_once(stack: Any, account: Account, long_clip: bytes, victim: str) -> None:
    job_id = account.upload(long_clip, "long.wav")
    convert = stack.child("convert").pid
    child = until(lambda: converting_child(convert), 30, "a conversion is under way")
    until(lambda: account.job(job_id)["progress"] > 0, 30, "some progress")

    if victim == "convert":
        stack.child("convert").kill()
    elif victim == "its child":
        os.kill(child, signal.SIGKILL)
    else:
        stack.child("source-video").kill()

    job = account.ended(job_id, 150)
    assert (job["state"], job["error"]) == ("done", None)
    assert abs(job["result"]["duration"] - 900) < 0.1
    assert len(account.mails()) == 1
    assert not Path(f"/proc/{child}").exists()


def test_a_video_that_kills_every_conversion_is_given_up_with_one_mail(
    stack: Any, account: Account, stored: Stored, records: Any
) -> None:
    before, child = stored.counts(), stack.child("convert")
    program = child.program
    # Without KILL_FLAG it dies there each time; a short lease, so that the next attempt need not wait long.
    poison = {"KILL_POINT": "C3", "LEASE_SECONDS": "1"}
    try:
        with stack.away("convert"):
            child.program = replace(program, environment={**program.environment, **poison})

        job = account.ended(account.upload(media.make("wav", seconds=5), "poison.wav"), 150)

        assert (job["state"], job["error"]["code"], job["mp3"]) == ("failed", "gave_up", None)
        (mail,) = account.mails()
        assert job["error"]["detail"] in mail["text"].replace("\n", " ")
        stored.settles(before | {"jobs": before["jobs"] + 1})
        assert records.find_one({"_id": job["id"]})["work"]["convert"]["attempts"] == 6  # the sixth only says so
    finally:
        with stack.away("convert"):
            child.program = program
    assert len(account.inbox()) == 1
