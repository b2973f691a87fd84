"""Large bodies through NGINX, Kourier, activator, queue-proxy: whole where wanted, and refused in words where not."""

import hashlib
import struct
import time

import pytest

from tests.cluster.conftest import Stage
from tests.cluster.overlay import CHANGED
from tests.e2e.account import Account
from tests.e2e.test_refusals import HUGE, Sized, body, post

LENGTH = 600_000_000
RATE, FRAME_BYTES = 48_000, 4
SLOW_SECONDS = 200
STEPS = 200
END_SECONDS = 1500
TIMES = 9  # in each of six ways: more than fifty in all


@pytest.mark.parametrize("way", ["sized", "chunked"])
@pytest.mark.parametrize(("status", "code"), [(401, "token_missing"), (401, "token_invalid"), (413, "too_large")])
def test_a_refusal_of_a_large_body_always_arrives(account: Account, status: int, code: str, way: str) -> None:
    token = {"token_missing": None, "token_invalid": account.token[:-8] + "AAAAAAAA"}.get(code, account.token)
    length = int(CHANGED["MAX_UPLOAD_BYTES"]) + 70_000 if status == 413 else HUGE

    for _ in range(TIMES):
        answer = post(account.url, Sized(length, wav(length)) if way == "sized" else body(length, wav(length)), token)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_600_mb_go_in_and_a_slow_client_gets_the_whole_mp3(account: Account, stage: Stage) -> None:
    with stage("600 MB: upload"):
        answer = post(account.url, Sized(LENGTH, wav(LENGTH)), account.token)
    assert (answer.status_code, answer.json()["length"]) == (202, LENGTH)
    with stage("600 MB: conversion"):
        job = account.ended(answer.json()["id"], END_SECONDS)
    assert (job["state"], job["error"]) == ("done", None)
    assert abs(job["result"]["duration"] - LENGTH / RATE / FRAME_BYTES) < 0.1

    digest, length = hashlib.sha256(), job["mp3"]["length"]
    with stage("600 MB: download by a slow client"), account.call("GET", job["mp3"]["href"], stream=True) as slow:
        for piece in slow.iter_content(length // STEPS + 1):
            digest.update(piece)
            time.sleep(SLOW_SECONDS / STEPS)

    assert digest.hexdigest() == job["mp3"]["sha256"]


def wav(length: int) -> bytes:
    """The head of a WAV file of so many bytes: stereo, 16 bits."""
    form = struct.pack("<HHIIHH", 1, 2, RATE, RATE * FRAME_BYTES, FRAME_BYTES, 16)
    return struct.pack("<4sI4s4sI16s4sI", b"RIFF", length - 8, b"WAVE", b"fmt ", 16, form, b"data", length - 44)
