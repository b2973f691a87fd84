"""What is there when a storm is over: waits for rest, has the janitor come once more, and looks behind the scenes."""

import email
import hashlib
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pymongo

from local import rabbitmq
from local.process import ROOT
from local.stack import Stack
from tests.chaos.checker import Found
from tests.e2e.account import Account

STILL_SECONDS = 8.0  # two leases of the tests
BUCKETS = ("videos", "mp3s")
UNFINISHED = [
    {"state": {"$in": ["uploading", "queued", "converting"]}},
    {"mail.state": {"$in": ["pending", "sending"]}},
    {"discarded": True},
]


class Aftermath:
    """The database and the mails of a stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        client: Any = pymongo.MongoClient(stack.mongo_url, tz_aware=True)
        self._database = client.get_default_database()

    def settle(self, seconds: float) -> list[str]:
        """Waits until nothing is to be done for a while; what still is to be done.

        Gives up when so many seconds go by in which no further job comes to its end: a slow machine may take its time.
        """
        still_since = moved_at = time.monotonic()
        least = math.inf
        while True:
            unfinished, messages, now = self._unfinished(), self._messages(), time.monotonic()
            if unfinished or messages:
                still_since = now
            if len(unfinished) < least:
                least, moved_at = len(unfinished), now
            if now - moved_at >= seconds or now - still_since >= STILL_SECONDS:
                return unfinished + messages
            time.sleep(0.5)

    def _unfinished(self) -> list[str]:
        jobs = self._database["jobs"].find({"$or": UNFINISHED}, {"state": 1, "mail": 1})
        return [f"job {job['_id']} {job['state']}, mail {job.get('mail', {}).get('state')}" for job in jobs]

    def _messages(self) -> list[str]:
        depths = rabbitmq.depths(self._stack.rabbitmq_url)
        return [f"{count} in {queue}" for queue, count in depths.items() if count]

    def janitor(self) -> None:
        """One round of it, as it comes in production."""
        command = [sys.executable, "-m", "functions.janitor.main"]
        subprocess.run(command, env=self._stack.env("janitor"), cwd=ROOT, check=True, capture_output=True)

    def jobs(self, accounts: Mapping[str, Account]) -> list[Found]:
        """All jobs; each MP3 is fetched as its owner fetches it."""
        files = Counter(file["metadata"]["job"] for file in self._database["mp3s.files"].find({}, {"metadata": 1}))
        return [
            Found(
                job_id=job["_id"],
                name=job["video"]["filename"],
                state=job["state"],
                code=job.get("error", {}).get("code"),
                files=files[job["_id"]],
                whole=job["state"] == "done" and _is_whole(accounts[job["email"]], job["mp3"]),
            )
            for job in self._database["jobs"].find()
        ]

    def orphans(self) -> list[str]:
        """Files and chunks that no job has as its result, and videos, as none is wanted any more."""
        kept = {job["mp3"]["file_id"] for job in self._database["jobs"].find({"state": "done"}, {"mp3": 1})}
        found: set[str] = set()
        for bucket in BUCKETS:
            ids = {file["_id"] for file in self._database[f"{bucket}.files"].find({}, {"_id": 1})}
            ids |= {chunk["files_id"] for chunk in self._database[f"{bucket}.chunks"].find({}, {"files_id": 1})}
            found |= {f"{bucket} {file_id}" for file_id in ids - (kept if bucket == "mp3s" else set())}
        return sorted(found)

    def mails(self) -> list[tuple[str, float]]:
        """Every mail, as its job's id and the time when it came."""
        arrived = []
        for path in (self._stack.home / "mails" / "new").iterdir():
            message_id = email.message_from_bytes(path.read_bytes())["Message-ID"]
            arrived.append((message_id.strip().strip("<>").partition("@")[0], path.stat().st_mtime))
        return arrived


def _is_whole(account: Account, mp3: Mapping[str, Any]) -> bool:
    answer = account.call("GET", f"/v1/mp3s/{mp3['file_id']}")
    return answer.status_code == 200 and hashlib.sha256(answer.content).hexdigest() == mp3["sha256"]
