"""The clients of a storm: they upload what the seed says, and try again until there is an answer to be had."""

import random
import time
from dataclasses import dataclass

import requests

from tests import media
from tests.chaos.checker import Checker
from tests.e2e.account import Account

TRY_SECONDS = 180.0
PAUSE_SECONDS = (1.0, 15.0)  # of a client before an upload
WITHOUT_KEY = 0.2  # the share of uploads that are tried once, as a browser does
RETRIED = (408, 409, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Upload:
    """One upload: its name is its own, `key` its Idempotency-Key if it has one. It begins after a `pause`."""

    name: str
    data: bytes
    expected: str
    key: str | None
    pause: float


def samples() -> list[tuple[str, bytes, str]]:
    """What is uploaded: the name's ending, the bytes, how its job ends. From 1 kB to 20 MB."""
    return [
        ("wav", media.make("wav", seconds=0.1, rate=8000, channels=1), "done"),
        ("mp3", media.make("mp3", seconds=2), "done"),
        ("mp4", media.make("mp4", seconds=5), "done"),
        ("webm", media.make("webm opus", seconds=5), "done"),
        ("wav", media.make("wav", seconds=25), "done"),
        ("wav", media.make("wav", seconds=100), "done"),
        ("mp4", media.make("mp4 silent picture", seconds=3), "failed"),
        ("flac", media.make("flac", seconds=300), "done"),
    ]


def planned(seed: int, count: int) -> list[Upload]:
    """The uploads of a storm; the same for the same seed."""
    source, kinds, plan = random.Random(f"{seed} uploads"), samples(), []
    for number in range(count):
        ending, data, expected = source.choice(kinds)
        key = None if source.random() < WITHOUT_KEY else f"storm-{seed}-{number}"
        plan.append(Upload(f"{number}.{ending}", data, expected, key, source.uniform(*PAUSE_SECONDS)))
    return plan


def upload(account: Account, what: Upload, checker: Checker) -> None:
    """Tries until it is accepted, or once without a key; tells the checker what was said."""
    checker.attempted(what.name, what.expected)
    until = time.monotonic() + TRY_SECONDS
    while time.monotonic() < until:
        answer = _post(account, what)
        if answer is not None and answer.status_code == 202:
            checker.acknowledged(what.name, str(answer.json()["id"]))
            return
        if answer is not None and answer.status_code not in RETRIED:
            checker.refused_with(what.name, f"{answer.status_code} {answer.text[:200]}")
            return
        if what.key is None:
            return
        time.sleep(0.5)
    checker.refused_with(what.name, f"not accepted in {TRY_SECONDS:.0f} s")


def _post(account: Account, what: Upload) -> requests.Response | None:
    headers = {} if what.key is None else {"Idempotency-Key": what.key}
    try:
        return account.call("POST", "/v1/jobs", files={"file": (what.name, what.data)}, headers=headers)
    except requests.RequestException:
        return None
