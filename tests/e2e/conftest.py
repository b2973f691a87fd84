"""The running system, accounts on it, and what became of a job behind its back."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from local import functions, ports, rabbitmq
from local.keeper import Keeper
from local.process import Child
from tests import media
from tests.e2e.account import Account, until
from tests.e2e.stored import Stored


@pytest.fixture
def new_account(stack: Any) -> Callable[[], Account]:
    return lambda: Account(stack.url, stack.inbox_url)


@pytest.fixture
def account(new_account: Callable[[], Account]) -> Account:
    return new_account()


@pytest.fixture(scope="session")
def clip() -> bytes:
    """A short video with sound."""
    return media.make("mp4", seconds=5)


@pytest.fixture
def stored(stack: Any) -> Iterator[Stored]:
    looker = Stored(stack.env("download")["MONGO_URL"])
    looker.quiet()
    yield looker
    looker.close()


@pytest.fixture
def address(stack: Any) -> Callable[[str], str]:
    """Where a function listens, past the gateway."""
    return lambda name: f"http://127.0.0.1:{stack.child(name).program.port}/"


@pytest.fixture
def another(stack: Any, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts one more process of a function, as Knative does under load; where it listens."""
    keepers = []

    def start(name: str) -> str:
        port = ports.choose(set())
        program = functions.function(name, port, {**stack.env(name), "PORT": str(port)})
        child = Child(program, tmp_path / f"{name}.log")
        keepers.append(Keeper([child], lambda: None))
        keepers[-1].start()
        assert child.ready.wait(60), child.tail()
        return f"http://127.0.0.1:{port}/"

    yield start
    for keeper in keepers:
        keeper.stop()


@pytest.fixture
def records(stack: Any) -> Iterator[Any]:
    """The job records themselves."""
    client: Any = pymongo.MongoClient(stack.env("download")["MONGO_URL"])
    yield client.get_default_database()["jobs"]
    client.close()


@pytest.fixture
def settled(stack: Any, records: Any) -> Callable[[str], dict[str, Any]]:
    """Waits until nothing is to be done for a job any more, anywhere; its record."""

    def found(job_id: str) -> dict[str, Any] | None:
        # That of `video` may stay pending: once the job is converting, nobody asks any more whether it was announced.
        at_rest = {"mail.state": "sent", "litter": [], "outbox.mp3.state": "sent"}
        free = {f"work.{stage}.token": {"$exists": False} for stage in ("upload", "convert", "notify")}
        job: dict[str, Any] | None = records.find_one({"_id": job_id, **at_rest, **free})
        return job if job and _no_message_is_left(stack) else None

    return lambda job_id: dict(until(lambda: found(job_id), 90, f"job {job_id} is at rest"))


def _no_message_is_left(stack: Any) -> bool:
    if any(rabbitmq.depths(stack.rabbitmq_url).values()):
        return False  # the sources have work: not to be disturbed
    # A source that retries holds its message, and the broker counts only what nobody holds: so nobody may.
    with stack.away("source-video"), stack.away("source-mp3"):
        time.sleep(0.5)
        return not any(rabbitmq.depths(stack.rabbitmq_url).values())
