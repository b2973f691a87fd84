from typing import Any

import pytest
from bson import ObjectId

from functions.common.files import VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.janitor.main import end_dead_uploads, publish_pending
from tests.contracts import Clock, JobsContract
from tests.fakes import FakeMongo, FakePublisher


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(mongo: FakeMongo, clock: Clock) -> Jobs:
    return Jobs(lambda: mongo.database["jobs"], 60, clock)  # type: ignore[arg-type,return-value]


def test_what_has_waited_a_minute_is_published_once(jobs: Jobs, clock: Clock, publisher: Any) -> None:
    job_id = JobsContract.new(jobs)
    assert publish_pending(jobs, publisher, 60) == 0

    clock.forward(61)

    assert [publish_pending(jobs, publisher, 60) for _ in range(2)] == [1, 0]
    assert [(queue, event.job_id) for queue, event in publisher.published] == [("video", job_id)]


def test_a_broker_that_is_away_leaves_all_pending(jobs: Jobs, clock: Clock, publisher: Any) -> None:
    made = {JobsContract.new(jobs) for _ in range(3)}
    clock.forward(61)
    publisher.down = True
    assert publish_pending(jobs, publisher, 60) == 0

    publisher.down = False

    assert publish_pending(jobs, publisher, 60) == 3
    assert {event.job_id for _, event in publisher.published} == made


def test_an_upload_that_died_is_removed_with_its_chunks_once_that_is_certain(
    jobs: Jobs, clock: Clock, mongo: FakeMongo
) -> None:
    videos = Bucket(mongo, VIDEOS)  # type: ignore[arg-type]
    writer = videos.writer(ObjectId())
    writer.write(b"x" * 5_000_000)
    jobs.begin("owner-1", "a@demo.example", {"file_id": writer.file_id, "filename": "a.mp4"})
    clock.forward(60 + 899)
    assert end_dead_uploads(jobs, videos, 900) == 0

    clock.forward(2)

    assert end_dead_uploads(jobs, videos, 900) == 1
    assert mongo.everything() == {}


def test_an_upload_that_came_to_its_end_is_left_alone(jobs: Jobs, clock: Clock, mongo: FakeMongo) -> None:
    JobsContract.new(jobs)
    clock.forward(10_000)

    assert end_dead_uploads(jobs, Bucket(mongo, VIDEOS), 900) == 0  # type: ignore[arg-type]
    assert mongo.everything() == {"jobs": 1}


def test_a_cancelled_job_is_not_announced(jobs: Jobs, clock: Clock, publisher: FakePublisher) -> None:
    jobs.cancel(JobsContract.new(jobs), "owner-1")
    clock.forward(61)

    assert publish_pending(jobs, publisher, 60) == 0  # type: ignore[arg-type]
