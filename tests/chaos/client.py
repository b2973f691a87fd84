"""The clients of a storm: they do what the seed says, and try again until there is an answer to be had."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests

from tests import media
from tests.chaos.checker import Checker
from tests.e2e.account import PASSWORD, Account

TRY_SECONDS = 180.0
PAUSE_SECONDS = (0.5, 12.0)  # of a client before an upload
SENDING_SECONDS = (1.0, 5.0)  # of a slow client: so that faults find uploads under way
SLOWLY = 0.5  # the share of these
PIECES = 20
WITHOUT_KEY = 0.2  # the share of uploads that are tried once, as a browser does
RETRIED = (409, 503)  # what an outage may answer, or an upload that is thought to be still under way


@dataclass(frozen=True)
class Upload:
    """One upload: its name is its own, `key` its Idempotency-Key if it has one. It begins after a `pause`.

    Sent as a form, or as it is in so many `seconds`.
    """

    name: str
    data: bytes
    expected: str
    key: str | None
    pause: float
    seconds: float


@dataclass(frozen=True)
class Slowly:
    """A body that is sent piece by piece; its length is announced."""

    data: bytes
    seconds: float

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[bytes]:
        size = -(-len(self.data) // PIECES)
        for begin in range(0, len(self.data), size):
            time.sleep(self.seconds / PIECES)
            yield self.data[begin : begin + size]


class RefusedError(Exception):
    """There was an answer that no outage explains, or none in all the time."""


def samples() -> list[tuple[str, bytes, str]]:
    """What is uploaded: the name's ending, the bytes, how its job ends. From 1 kB to 20 MB, all soon converted."""
    return [
        ("wav", media.make("wav", seconds=0.1, rate=8000, channels=1), "done"),
        ("mp3", media.make("mp3", seconds=2), "done"),
        ("mp4", media.make("mp4", seconds=5), "done"),
        ("webm", media.make("webm opus", seconds=5), "done"),
        ("mp4", media.make("mp4 silent picture", seconds=3), "failed"),
        ("flac", media.make("flac", seconds=60), "done"),
        ("wav", media.make("wav", seconds=25), "done"),
        ("wav", media.make("wav", seconds=8.6, rate=192_000, channels=6), "done"),
    ]


def planned(seed: int, count: int) -> list[Upload]:
    """The uploads of a storm; the same for the same seed."""
    source, kinds, plan = random.Random(f"{seed} uploads"), samples(), []
    for number in range(count):
        ending, data, expected = source.choice(kinds)
        key = None if source.random() < WITHOUT_KEY else f"storm-{seed}-{number}"
        pause, slow = source.uniform(*PAUSE_SECONDS), source.random() < SLOWLY
        seconds = source.uniform(*SENDING_SECONDS) if slow else 0
        plan.append(Upload(f"{number}.{ending}", data, expected, key, pause, seconds))
    return plan


def visit(account: Account, what: Upload, checker: Checker) -> None:
    """Logs in anew, uploads, looks at the job; tells the checker what was said."""
    checker.attempted(what.name, what.expected)
    try:
        credentials = {"email": account.email, "password": PASSWORD}
        answer = _tried(lambda: account.call("POST", "/v1/tokens", json=credentials), 200)
        account.token = str(answer.json()["access_token"])
        if job_id := _uploaded(account, what):
            checker.acknowledged(what.name, job_id)
            _tried(lambda: account.call("GET", f"/v1/jobs/{job_id}"), 200)
    except RefusedError as error:
        checker.refused_with(what.name, str(error))


def _uploaded(account: Account, what: Upload) -> str | None:
    def post() -> requests.Response:
        to: dict[str, Any] = {"headers": {"Idempotency-Key": what.key} if what.key else {}}
        if what.seconds:
            to |= {"params": {"filename": what.name}, "data": Slowly(what.data, what.seconds)}
        else:
            to |= {"files": {"file": (what.name, what.data)}}
        return account.call("POST", "/v1/jobs", **to)

    answer = _tried(post, 202) if what.key else _once(post, 202)
    return str(answer.json()["id"]) if answer is not None else None


def _tried(call: Callable[[], requests.Response], status: int) -> requests.Response:
    until = time.monotonic() + TRY_SECONDS
    while time.monotonic() < until:
        if (answer := _once(call, status)) is not None:
            return answer
        time.sleep(0.5)
    raise RefusedError(f"no {status} in {TRY_SECONDS:.0f} s")


def _once(call: Callable[[], requests.Response], status: int) -> requests.Response | None:
    try:
        answer = call()
    except requests.RequestException:
        return None
    if answer.status_code not in (status, *RETRIED):
        raise RefusedError(f"{answer.status_code} {answer.text[:200]}")
    return answer if answer.status_code == status else None
