"""SIGTERM in the middle of work: what does not fit the grace period is given up whole, and another process does it."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import media
from tests.e2e.account import Account, until
from tests.e2e.stored import Stored


@contextmanager
def terminated(stack: Any, name: str) -> Iterator[None]:
    """Sends SIGTERM as Knative does, twice; within, the process is gone and not yet replaced."""
    child = stack.child(name)
    pid = child.pid
    child.hold()
    try:
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.2)
        os.kill(pid, signal.SIGTERM)
        # The supervisor kills nobody that it has not been told to: this is the end by itself.
        until(lambda: child.pid != pid, 15, f"{name} has ended")
        yield
    finally:
        child.release()
        stack.await_ready(name)


@pytest.fixture(scope="module")
def long_clip() -> bytes:
    # So long that, just begun, it cannot be done within the grace period of local/, which is 5 s.
    return media.make("flac", seconds=3000)


def test_a_conversion_that_does_not_fit_is_handed_back_uncounted_and_done_by_the_next_process(
    stack: Any, account: Account, stored: Stored, records: Any, long_clip: bytes
) -> None:
    before = stored.counts()
    job_id = account.upload(long_clip, "long.flac")
    until(lambda: 0 < account.job(job_id)["progress"] < 30, 30, "some progress")
    until(lambda: stored.counts()["mp3s.chunks"] > before["mp3s.chunks"], 30, "some of the MP3 is stored")

    with terminated(stack, "convert"):
        job = records.find_one({"_id": job_id})
        # No lease that would have to lapse first, and no attempt used up.
        assert (job["state"], job["progress"], job["work"]["convert"]) == ("queued", 0, {"attempts": 0})
        assert not job.get("litter")
        counts = stored.counts()
        assert (counts["mp3s.files"], counts["mp3s.chunks"]) == (before["mp3s.files"], before["mp3s.chunks"])

    job = account.ended(job_id, 150)
    assert (job["state"], job["error"]) == ("done", None)
    assert abs(job["result"]["duration"] - 3000) < 0.1
    assert records.find_one({"_id": job_id})["work"]["convert"]["attempts"] == 1
    assert len(account.mails()) == 1


def test_an_upload_that_does_not_fit_leaves_nothing(stack: Any, account: Account, stored: Stored) -> None:
    before = stored.counts()
    address = urlsplit(stack.url)
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {account.token}\r\n"
        "Content-Type: video/mp4\r\nContent-Length: 100000000\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), 30) as slow:
        slow.sendall(head.encode() + b"\0\0\0\x18ftypisom" + bytes(6_000_000))
        until(lambda: stored.counts()["videos.chunks"] > before["videos.chunks"], 30, "some chunks are stored")

        with terminated(stack, "upload"):
            # At once: not only when the janitor has found out.
            assert stored.counts() == before
            answer = slow.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After" in answer


def test_a_mail_that_the_server_does_not_take_in_time_is_sent_by_the_next_process_once(
    stack: Any, account: Account, records: Any, clip: bytes
) -> None:
    with stack.frozen("inbox"):
        job_id = account.ended(account.upload(clip))["id"]
        until(lambda: "token" in records.find_one({"_id": job_id})["work"].get("notify", {}), 30, "a mail under way")

        with terminated(stack, "notify"):
            job = records.find_one({"_id": job_id})
            assert (job["mail"]["state"], job["mail"]["tries"]) == ("pending", 0)
            assert job["work"]["notify"] == {"attempts": 0}

    assert len(account.mails()) == 1
    until(lambda: account.job(job_id)["mail"] == "sent", 30, "the mail is recorded as sent")
    assert len(account.inbox()) == 1
