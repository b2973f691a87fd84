"""What test_outages.py leaves: a dependency that is slow, out of memory, or away for longer than anybody tries again.

Every answer comes in time, what does not need it goes on, and the backlog drains by itself.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from local import rabbitmq
from tests import media
from tests.e2e.account import PASSWORD, Account, until
from tests.e2e.stored import Stored
from tests.proxy import Proxy

ANSWER_SECONDS = 10
SLOW_SECONDS = 2.0
# Longer than REDRIVE_SECONDS below; with MongoDB also than a source's retries, each of which waits 5 s for it.
LONG_SECONDS = {"rabbitmq": 7, "mongo": 12}
SETTINGS = {
    "janitor": {"REDRIVE_SECONDS": "5"},
    "source-video": {"RETRIES": "1", "BACKOFF_SECONDS": "0.2"},
}
URLS = {"MYSQL_URL": "auth", "MONGO_URL": "upload", "RABBITMQ_URL": "upload", "SMTP_URL": "notify"}
CLIENTS = ("auth", "upload", "convert", "notify", "download", "source-video", "source-mp3", "janitor")


def restart(stack: Any, programs: Mapping[str, Any]) -> None:
    for name, program in programs.items():
        child = stack.child(name)
        child.hold()
        child.kill()
        child.program = program
        child.release()
    for name, program in programs.items():
        if not program.every:
            stack.await_ready(name)


def changed(stack: Any, name: str, settings: Mapping[str, str]) -> Any:
    """The child's program with other settings."""
    program = stack.child(name).program
    return replace(program, environment={**program.environment, **settings})


@contextmanager
def replaced(stack: Any, programs: Mapping[str, Any]) -> Iterator[None]:
    """Within, these run in place of the children's own."""
    before = {name: stack.child(name).program for name in programs}
    restart(stack, programs)
    try:
        yield
    finally:
        restart(stack, before)


@pytest.fixture(scope="module")
def proxies(stack: Any) -> Iterator[dict[str, Proxy]]:
    """Between all programs and each dependency, by the setting that names it."""
    with ExitStack() as exits:
        found = {}
        for setting, client in URLS.items():
            found[setting] = exits.enter_context(Proxy(urlsplit(stack.env(client)[setting]).port))
        programs = {}
        for name in CLIENTS:
            urls = {setting: url for setting, url in stack.child(name).program.environment.items() if setting in URLS}
            through = {
                setting: url.replace(f":{urlsplit(url).port}", f":{found[setting].port}")
                for setting, url in urls.items()
            }
            programs[name] = changed(stack, name, through)
        exits.enter_context(replaced(stack, programs))
        yield found


@pytest.fixture
def slow(proxies: dict[str, Proxy]) -> Iterator[Callable[[str, float], None]]:
    """Makes a dependency so many seconds slow at each operation."""

    def begin(setting: str, seconds: float = SLOW_SECONDS) -> None:
        proxies[setting].delay = seconds

    yield begin
    for proxy in proxies.values():
        proxy.delay = 0


def timed(answer: requests.Response, *statuses: int) -> requests.Response:
    """The answer, which is one of these and came in time."""
    assert answer.status_code in statuses, answer.text
    assert answer.elapsed.total_seconds() < ANSWER_SECONDS
    if answer.status_code == 503:
        assert answer.json()["code"] == "unavailable"
        assert int(answer.headers["Retry-After"]) > 0
    return answer


def send(account: Account, clip: bytes) -> requests.Response:
    return account.call("POST", "/v1/jobs", files={"file": ("a.mp4", clip)})


def log_in(account: Account) -> requests.Response:
    return account.call("POST", "/v1/tokens", json={"email": account.email, "password": PASSWORD})


def done_with_one_mail(account: Account, *job_ids: str) -> None:
    """The backlog has drained: each of the account's jobs is done, and its owner was told once."""
    jobs = [account.ended(job_id, 120) for job_id in job_ids]
    assert [(job["state"], job["error"]) for job in jobs] == [("done", None)] * len(jobs)
    until(lambda: {account.job(job_id)["mail"] for job_id in job_ids} == {"sent"}, 60, "the mails are recorded as sent")
    assert len(account.inbox()) == len(jobs)


def test_a_slow_mysql_and_a_slow_mail_server_delay_nothing_else(
    account: Account, clip: bytes, slow: Callable[..., None]
) -> None:
    slow("MYSQL_URL")
    slow("SMTP_URL")

    job = account.ended(timed(send(account, clip), 202).json()["id"])
    timed(account.call("GET", job["mp3"]["href"]), 200)
    timed(account.call("POST", "/validate"), 200)
    timed(log_in(account), 200)
    done_with_one_mail(account, job["id"])


def test_a_slow_mongodb_takes_videos_and_serves_them(
    account: Account, clip: bytes, stored: Stored, slow: Callable[..., None]
) -> None:
    first = account.ended(account.upload(clip))
    slow("MONGO_URL")

    # The first try may lack the time for another connection.
    answer = until(lambda: (got := timed(send(account, clip), 202, 503)).status_code == 202 and got, 60, "a 202")
    assert timed(account.call("GET", first["mp3"]["href"]), 200).content
    timed(log_in(account), 200)

    slow("MONGO_URL", 0)
    done_with_one_mail(account, first["id"], answer.json()["id"])
    stored.quiet()


def test_a_slow_rabbitmq_delays_no_answer(account: Account, clip: bytes, slow: Callable[..., None]) -> None:
    account.ended(first := account.upload(clip))
    slow("RABBITMQ_URL")

    second = timed(send(account, clip), 202).json()["id"]
    timed(account.call("GET", f"/v1/jobs/{second}"), 200)

    slow("RABBITMQ_URL", 0)
    done_with_one_mail(account, first, second)


def test_a_broker_out_of_memory_takes_nothing_and_uploads_go_on(stack: Any, account: Account, clip: bytes) -> None:
    def watermark(limit: str) -> None:
        program = str(rabbitmq.SCRIPT.with_name("rabbitmqctl"))
        environment = dict(stack.child("rabbitmq").program.environment)
        subprocess.run([program, "-q", "set_vm_memory_high_watermark", "absolute", limit], env=environment, check=True)

    account.ended(first := account.upload(clip))
    watermark("1")
    try:
        second = timed(send(account, clip), 202).json()["id"]
        assert timed(account.call("GET", f"/v1/jobs/{second}"), 200).json()["state"] == "queued"
    finally:
        watermark("512MiB")

    done_with_one_mail(account, first, second)


@pytest.fixture(scope="module")
def long_clip() -> bytes:
    return media.make("wav", seconds=600)


@pytest.mark.parametrize("name", list(LONG_SECONDS))
def test_an_outage_longer_than_all_retries_fails_no_job(
    stack: Any, account: Account, clip: bytes, long_clip: bytes, name: str
) -> None:
    with replaced(stack, {child: changed(stack, child, settings) for child, settings in SETTINGS.items()}):
        job_ids = [account.upload(long_clip, "long.wav"), account.upload(clip)]
        until(lambda: account.job(job_ids[0])["progress"] > 0, 30, "a conversion is under way")

        with stack.away(name):
            time.sleep(LONG_SECONDS[name])

        done_with_one_mail(account, *job_ids)
