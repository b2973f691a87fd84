"""An upload's answer comes in time however slow the database is: what may be waited for, and what is not."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from bson import ObjectId

from functions.common import outbox
from functions.common.files import CHUNK_BYTES, VIDEOS, Bucket
from functions.common.jobrecord import Run
from functions.common.jobs import Jobs
from functions.common.lease import Lease
from functions.common.mongo import AWAY
from functions.common.tokens import Verifier
from functions.common.web import Routes
from functions.upload import handler, waiting
from functions.upload.waiting import WAIT_SECONDS, Waiting
from tests.clients import Keys, client
from tests.contracts import begun
from tests.fakes import FakeMongo, FakePublisher


class Clock:
    """The monotonic clock, which goes on when told; also keeps the limits that were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def budget(self, seconds: float) -> Any:
        self.limits.append(seconds)
        return nullcontext()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (waiting, outbox):
        monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(module, "budget", clock.budget)
    return clock


def test_all_that_an_upload_waits_for_shares_one_limit(clock: Clock) -> None:
    share = Waiting()
    for seconds in (3, 4, 2):
        with share:
            clock.now += seconds

    assert clock.limits == [WAIT_SECONDS, WAIT_SECONDS - 3, WAIT_SECONDS - 7]
    assert share.left < 0


def test_once_a_part_is_stored_only_what_went_by_since_the_last_byte_counts(clock: Clock) -> None:
    share = Waiting()
    with share:
        clock.now += 5
    last_byte, clock.now = clock.now, clock.now + 2

    share.renew(last_byte)

    assert share.left == WAIT_SECONDS - 2


@pytest.mark.parametrize(("slow", "published"), [(1.0, 1), (1.9, 1), (2.0, 0)])
def test_what_a_slow_database_leaves_no_time_for_is_left_to_the_janitor(
    mongo: FakeMongo, publisher: FakePublisher, token_keys: Keys, clock: Clock, slow: float, published: int
) -> None:
    use, upload = mongo.database.use, routes(mongo, publisher, token_keys)

    def takes_long(kind: str = "find") -> None:
        clock.now += slow
        use(kind)

    mongo.database.use = takes_long  # type: ignore[method-assign]

    answer = upload.post("/v1/jobs", data=b"\x00\x00\x00\x18ftypisom", headers=token_keys.bearer())

    assert answer.status_code == 202
    assert len(publisher.published) == published
    assert mongo.database.operations == 4 + published  # record, chunk, file, commit; and the mark


def routes(mongo: Any, publisher: Any, token_keys: Keys) -> Any:
    jobs = Jobs(lambda: mongo.database["jobs"])
    videos = Bucket(mongo, VIDEOS)
    services = handler.Services(Verifier(token_keys.jwks), jobs, videos, publisher, 1_000_000)
    return client(Routes(handler.routes(services), unavailable=AWAY))


def test_the_mark_has_what_the_publication_left(mongo: Any, clock: Clock) -> None:
    jobs = Jobs(lambda: mongo.database["jobs"])
    job = jobs.uploaded(begun(jobs), 1, "00")
    assert job

    def publish(queue: str, event: Any, within: float) -> None:
        clock.now += 4

    assert outbox.announce(jobs, SimpleNamespace(publish=publish), job, "video", 7)  # type: ignore[arg-type]

    assert clock.limits == [3]


def test_the_end_of_a_file_is_stored_in_one_operation(mongo: Any) -> None:
    writer = Bucket(mongo, VIDEOS).writer(ObjectId())
    writer.write(bytes(3 * CHUNK_BYTES))
    stored: list[int] = []
    chunks = mongo.database["videos.chunks"]
    insert_many = chunks.insert_many
    chunks.insert_many = lambda documents: (stored.append(len(documents)), insert_many(documents))

    writer.close("a.mp4", {})

    assert stored == [3]


def test_an_extension_that_hangs_does_not_hold_up_the_end_of_a_run() -> None:
    asked, release, answered = threading.Event(), threading.Event(), threading.Event()

    def extend(run: Run, progress: int) -> bool:
        asked.set()
        release.wait(10)
        answered.set()
        return True

    jobs: Any = SimpleNamespace(lease_seconds=0.04, extend=extend)
    with Lease(jobs, Run("upload", {"_id": "job"}, "token", ObjectId()), 60):
        assert asked.wait(10)

    assert not answered.is_set()
    release.set()
