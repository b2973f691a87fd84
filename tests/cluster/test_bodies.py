"""Large bodies that are not wanted, through NGINX, Kourier, activator and queue-proxy: refused in words, each time."""

import struct
import time

import pytest
import requests

from tests.cluster.overlay import CHANGED
from tests.e2e.account import Account
from tests.e2e.test_refusals import HUGE, Sized, body, post

RATE, FRAME_BYTES = 48_000, 4
TIMES = 9  # in each of six ways: more than fifty in all
TRIES = 5
OVER_BYTES = 70_000  # more than a form may be longer than its file


@pytest.mark.parametrize("way", ["sized", "chunked"])
@pytest.mark.parametrize(("status", "code"), [(401, "token_missing"), (401, "token_invalid"), (413, "too_large")])
def test_a_refusal_of_a_large_body_always_arrives(account: Account, status: int, code: str, way: str) -> None:
    token = {"token_missing": None, "token_invalid": account.token[:-8] + "AAAAAAAA"}.get(code, account.token)
    limit = int(CHANGED["MAX_UPLOAD_BYTES"])
    assert limit >= HUGE  # or the length would be refused before the token is looked at
    length = limit + OVER_BYTES if status == 413 else HUGE

    for _ in range(TIMES):
        answer = refused(account, way, length, token)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def refused(account: Account, way: str, length: int, token: str | None) -> requests.Response:
    # A body of unknown length is stored until it is too long: a database that is too slow for that moment may say 503.
    head = wav(length)
    for _ in range(TRIES):
        answer = post(account.url, Sized(length, head) if way == "sized" else body(length, head), token)
        if answer.status_code != 503:
            break
        time.sleep(float(answer.headers["Retry-After"]))
    return answer


def wav(length: int) -> bytes:
    """The head of a WAV file of so many bytes: stereo, 16 bits."""
    form = struct.pack("<HHIIHH", 1, 2, RATE, RATE * FRAME_BYTES, FRAME_BYTES, 16)
    return struct.pack("<4sI4s4sI16s4sI", b"RIFF", length - 8, b"WAVE", b"fmt ", 16, form, b"data", length - 44)
