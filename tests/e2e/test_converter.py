"""What the converter tells of its work: in the job, in the database, in its log."""

import hashlib
import json
from typing import Any

import pymongo

from tests import media
from tests.e2e.account import Account


def test_the_job_bears_a_receipt(account: Account, clip: bytes, stack: Any) -> None:
    answer = account.call("POST", "/v1/jobs?loudness=-20", files={"file": ("clip.mp4", clip)})
    job = account.ended(answer.json()["id"])
    mp3 = account.call("GET", job["mp3"]["href"]).content

    result = job["result"]
    assert (result["mode"], result["codec"], result["rate"], result["channels"]) == ("encode", "aac", 48_000, 2)
    assert result["samples"] == len(media.decoded(mp3)[1][0])
    assert result["bytes_written"] == len(mp3)
    assert 0 < result["bytes_read"] <= 3 * len(clip)  # measuring loudness takes a reading of its own
    assert 0 < result["cpu_seconds"] < 60
    assert 1 << 20 < result["peak_bytes"] < 1 << 30
    assert abs(result["loudness"]["after"] + 20) < 0.5
    with pymongo.MongoClient(stack.env("convert")["MONGO_URL"]) as client:
        stored = client.get_default_database()["jobs"].find_one({"_id": job["id"]})
    assert stored["video"]["sha256"] == hashlib.sha256(clip).hexdigest()
    assert stored["mp3"]["sha256"] == hashlib.sha256(mp3).hexdigest()


def test_the_cage_stands_in_the_log_before_the_first_job(account: Account, clip: bytes, stack: Any) -> None:
    account.ended(account.upload(clip))

    lines = [json.loads(line) for line in (stack.home / "log/convert.log").read_text().splitlines() if line[:1] == "{"]

    messages = [line["message"] for line in lines]
    cage = lines[messages.index("the converting child's cage")]
    assert messages.index("the converting child's cage") < messages.index("converted")
    assert cage.keys() >= {"landlock", "files", "tcp", "signals", "no_new_privs", "memory_bytes", "processes"}
