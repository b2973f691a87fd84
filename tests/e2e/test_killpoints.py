"""A kill at each of the 22 points (functions/common/killpoints.py): nothing lost, nothing left, nothing twice."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import media
from tests.e2e.account import Account, until
from tests.e2e.outcome import only_one_mail_came, only_one_mp3_is_left
from tests.e2e.stored import Stored

TWICE = ("N4", "N5")  # the mail server may have the mail, and nobody knows: it goes out again


@contextmanager
def killed_once(stack: Any, function: str, point: str, flag: Path) -> Iterator[None]:
    """Within, the first process of `function` that comes to `point` ends there; afterwards, one did."""
    child = stack.child(function)
    program = child.program
    settings = {"KILL_POINT": point, "KILL_FLAG": str(flag)}
    flag.touch()
    try:
        restart(stack, function, replace(program, environment={**program.environment, **settings}))
        yield
        assert not flag.exists(), f"no process came to {point}"
    finally:
        flag.unlink(missing_ok=True)
        restart(stack, function, program)


def restart(stack: Any, name: str, program: Any) -> None:
    with stack.away(name):
        stack.child(name).program = program


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    return tmp_path / "flag"


@pytest.fixture(scope="module")
def clip() -> bytes:
    """More than one batch of chunks, so that some of it is stored before it has come to its end."""
    return media.make("wav", seconds=25)


def post(account: Account, clip: bytes, key: str) -> requests.Response | None:
    """An upload as a program makes it that may be cut off; None: no answer, or none of ours."""
    try:
        return account.call("POST", "/v1/jobs", files={"file": ("clip.wav", clip)}, headers={"Idempotency-Key": key})
    except requests.ConnectionError:
        return None


def accepted(account: Account, clip: bytes, key: str) -> str:
    """Uploads until there is a 202, as a program does; the job's id."""

    def answered() -> str | None:
        answer = post(account, clip, key)
        if answer is None or answer.status_code != 202:
            # 502 of a gateway whose upload is just being restarted; 409 while the dead run still seems alive.
            assert answer is None or answer.status_code in (409, 502, 503), answer.text
            return None
        return str(answer.json()["id"])

    return str(until(answered, 60, "a 202"))


@pytest.mark.parametrize("point", ["U1", "U2", "U3"])
def test_an_upload_killed_before_it_is_a_job_leaves_nothing(
    stack: Any, account: Account, stored: Stored, clip: bytes, flag: Path, point: str
) -> None:
    before = stored.counts()
    with killed_once(stack, "upload", point, flag):
        answer = post(account, clip, str(uuid.uuid4()))
        assert answer is None or answer.status_code in (502, 503)
        assert not flag.exists()

        stored.settles(before)
        assert account.call("GET", "/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize("point", ["U1", "U2", "U3", "U4", "U5", "U6", "U7"])
def test_an_upload_tried_again_under_its_key_is_one_job(
    stack: Any,
    account: Account,
    stored: Stored,
    clip: bytes,
    flag: Path,
    settled: Callable[[str], dict[str, Any]],
    point: str,
) -> None:
    before, key = stored.counts(), str(uuid.uuid4())
    with killed_once(stack, "upload", point, flag):
        answer = post(account, clip, key)
        assert answer is None or answer.status_code in (502, 503)
        listed = account.call("GET", "/v1/jobs").json()["jobs"]
        job_id = accepted(account, clip, key)

        if point >= "U2":  # before that there is no record
            assert [job["id"] for job in listed] == [job_id]
        job = settled(job_id)
        only_one_mp3_is_left(account, stored, before, job)
        only_one_mail_came(account)
        assert [job["id"] for job in account.call("GET", "/v1/jobs").json()["jobs"]] == [job_id]
        assert accepted(account, clip, key) == job_id


@pytest.mark.parametrize("point", ["U4", "U5", "U6", "U7"])
def test_an_upload_killed_when_it_is_a_job_is_done_though_nobody_asks_again(
    stack: Any,
    account: Account,
    stored: Stored,
    clip: bytes,
    flag: Path,
    settled: Callable[[str], dict[str, Any]],
    point: str,
) -> None:
    before = stored.counts()
    with killed_once(stack, "upload", point, flag):
        post(account, clip, str(uuid.uuid4()))
        (job,) = account.call("GET", "/v1/jobs").json()["jobs"]

        only_one_mp3_is_left(account, stored, before, settled(job["id"]))
        only_one_mail_came(account)


@pytest.mark.parametrize("point", [f"C{n}" for n in range(1, 10)] + [f"N{n}" for n in range(1, 7)])
def test_a_job_ends_in_one_mp3_and_one_mail(
    stack: Any,
    account: Account,
    stored: Stored,
    clip: bytes,
    flag: Path,
    settled: Callable[[str], dict[str, Any]],
    point: str,
) -> None:
    before = stored.counts()
    with killed_once(stack, "convert" if point.startswith("C") else "notify", point, flag):
        job = settled(account.upload(clip, "clip.wav"))

        only_one_mp3_is_left(account, stored, before, job)
        only_one_mail_came(account, 2 if point in TWICE else 1)
        assert job["work"]["convert"]["attempts"] <= 2
