"""What must be true of a job in the end, whatever happened on its way: one MP3, and one mail."""

import math
from typing import Any

from tests.e2e.account import Account
from tests.e2e.stored import Stored

CHUNK_BYTES = 261_120


def only_one_mp3_is_left(account: Account, stored: Stored, before: dict[str, int], job: dict[str, Any]) -> None:
    """The record says done, and beside what was stored `before` there is its MP3, whole, and nothing else."""
    assert (job["state"], job.get("error")) == ("done", None)
    expected = dict(before)
    expected["jobs"] += 1
    expected["mp3s.files"] += 1
    expected["mp3s.chunks"] += math.ceil(job["mp3"]["length"] / CHUNK_BYTES)
    stored.settles(expected)
    answer = account.call("GET", f"/v1/mp3s/{job['mp3']['file_id']}")
    assert len(answer.content) == job["mp3"]["length"]


def only_one_mail_came(account: Account, most: int = 1) -> None:
    """At most so many copies of one mail, at least one."""
    mails = account.inbox()
    assert 1 <= len(mails) <= most
    assert len({mail["message_id"] for mail in mails}) == 1
