"""A dependency is away, refused or frozen: what answers what, and that all recover without a restart of a function."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest
import requests

from tests.e2e.account import PASSWORD, Account, until
from tests.e2e.stored import Stored

FUNCTIONS = ("auth", "upload", "convert", "notify", "download")
ANSWER_SECONDS = 10


@pytest.fixture(autouse=True)
def functions_are_not_restarted(stack: Any) -> Iterator[None]:
    before = {name: stack.child(name).pid for name in FUNCTIONS}
    yield
    assert {name: stack.child(name).pid for name in FUNCTIONS} == before


def away(stack: Any, name: str, how: str) -> AbstractContextManager[None]:
    """Within, the child `name` is dead or frozen."""
    context: AbstractContextManager[None] = stack.frozen(name) if how == "frozen" else stack.away(name)
    return context


def unavailable(answer: requests.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.elapsed.total_seconds() <= ANSWER_SECONDS


def recovers(call: Callable[[], requests.Response], status: int) -> None:
    until(lambda: call().status_code == status, 30, f"status {status} again")


@pytest.mark.parametrize("how", ["dead", "frozen"])
def test_without_mysql_auth_answers_503_and_the_rest_goes_on(
    stack: Any, account: Account, clip: bytes, how: str
) -> None:
    def log_in() -> requests.Response:
        return account.call("POST", "/login", headers={"Authorization": ""}, auth=(account.email, PASSWORD))

    with away(stack, "mariadb", how):
        unavailable(log_in())
        unavailable(account.call("POST", "/v1/users", json={"email": "x@demo.example", "password": PASSWORD}))
        assert account.call("POST", "/validate").status_code == 200
        assert account.ended(account.upload(clip))["state"] == "done"

    recovers(log_in, 200)


@pytest.mark.parametrize("how", ["dead", "frozen"])
def test_without_mongodb_upload_and_download_answer_503(
    stack: Any, account: Account, clip: bytes, stored: Stored, how: str
) -> None:
    mp3 = account.ended(account.upload(clip))["mp3"]
    account.mails()
    before = stored.counts()

    with away(stack, "mongo", how):
        with ThreadPoolExecutor(4) as pool:
            waiting = [
                pool.submit(account.call, "POST", "/v1/jobs", files={"file": ("a.mp4", clip)}),
                pool.submit(account.call, "GET", "/v1/jobs"),
                pool.submit(account.call, "GET", mp3["href"]),
                pool.submit(account.call, "DELETE", "/v1/jobs/x"),
            ]
        for answer in waiting:
            unavailable(answer.result())
        account.log_in()

    recovers(lambda: account.call("GET", mp3["href"]), 200)
    # What a frozen server was told, it does when it thaws; the janitor then removes the upload that nobody ended.
    stored.settles(before)
    assert account.ended(account.upload(clip))["state"] == "done"


@pytest.mark.parametrize("how", ["dead", "frozen"])
def test_without_rabbitmq_uploads_are_accepted_and_published_later(
    stack: Any, account: Account, clip: bytes, how: str
) -> None:
    with away(stack, "rabbitmq", how):
        answers = [account.call("POST", "/v1/jobs", files={"file": ("a.mp4", clip)}) for _ in range(2)]
        for answer in answers:
            assert answer.status_code == 202
            assert answer.elapsed.total_seconds() <= ANSWER_SECONDS
        assert {account.job(answer.json()["id"])["state"] for answer in answers} == {"queued"}

    # Two minutes at most, as the janitor comes each minute; the tests' janitor comes every other second.
    assert [account.ended(answer.json()["id"], 120)["state"] for answer in answers] == ["done"] * 2
    assert len(account.mails(2)) == 2


@pytest.mark.parametrize("how", ["dead", "frozen"])
def test_without_smtp_the_mail_waits_and_nothing_else_changes(
    stack: Any, account: Account, clip: bytes, how: str
) -> None:
    with away(stack, "inbox", how):
        job = account.ended(account.upload(clip))
        assert (job["state"], job["mail"]) == ("done", "pending")
        assert account.call("GET", job["mp3"]["href"]).status_code == 200
        time.sleep(3)  # a few deliveries to a mail server that is not there
        assert account.job(job["id"])["mail"] == "pending"

    until(lambda: account.job(job["id"])["mail"] == "sent", 60, "the mail is recorded as sent")
    assert len(account.mails()) == 1
