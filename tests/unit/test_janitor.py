"""The janitor's round over the in-memory database: what it repairs, and what it leaves alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from functions.common import outbox
from functions.common.files import MP3S, VIDEOS, Bucket
from functions.common.jobrecord import ATTEMPTS, Run
from functions.janitor import rounds
from functions.janitor.upkeep import Times, Upkeep
from tests.contracts import Clock, Contract, begun, known
from tests.fakes import FakeMongo, FakePublisher

CHUNK = b"x" * 5_000_000
DAY = 86_400


class World:
    """Jobs in all stages of their lives, their files, and a janitor."""

    def __init__(self, mongo: Any, publisher: Any) -> None:
        self.mongo, self.publisher, self.clock = mongo, publisher, Clock()
        self.jobs = Upkeep(lambda: mongo.database["jobs"], Times(), self.clock)
        self.buckets = {name: Bucket(mongo, name) for name in (VIDEOS, MP3S)}

    def write(self, run: Run, close: bool = True) -> None:
        writer = self.buckets[VIDEOS if run.stage == "upload" else MP3S].writer(run.file_id)
        writer.write(CHUNK)
        if close:
            writer.close("a", {})

    def queued(self) -> str:
        run = begun(self.jobs)
        self.write(run)
        assert self.jobs.uploaded(run, len(CHUNK), "00")
        return run.job_id

    def converting(self, close: bool = False) -> Run:
        run = self.jobs.take("convert", self.queued())
        assert run is not None
        self.write(run, close)
        return run

    def done(self) -> str:
        run = self.converting(close=True)
        assert self.jobs.converted(run, {"file_id": run.file_id, "length": len(CHUNK)}, {}, timedelta(days=7))
        self.round()
        return run.job_id

    def round(self) -> dict[str, int]:
        done = rounds.tidy(self.jobs, self.buckets)
        done["published"] = rounds.publish_pending(self.jobs, self.publisher, 60)
        return {name: count for name, count in done.items() if count}

    def files(self) -> dict[str, int]:
        return {name: n for name, n in self.mongo.everything().items() if name.endswith("files")}


@pytest.fixture
def world(mongo: FakeMongo, publisher: FakePublisher) -> World:
    return World(mongo, publisher)


def test_a_round_with_nothing_to_do_does_nothing(world: World) -> None:
    world.queued()
    world.converting()
    world.round()

    assert world.round() == {}


def test_what_has_waited_a_minute_is_published_once(world: World) -> None:
    job_id = world.queued()
    assert world.round() == {}
    world.clock.forward(61)

    assert world.round() == {"published": 1}
    assert world.round() == {}
    assert [(queue, event.job_id) for queue, event in world.publisher.published] == [("video", job_id)]


def test_a_broker_that_is_away_leaves_all_pending(world: World) -> None:
    made = {world.queued() for _ in range(3)}
    world.clock.forward(61)
    world.publisher.down = True
    assert world.round() == {}

    world.publisher.down = False

    assert world.round() == {"published": 3}
    assert {event.job_id for _, event in world.publisher.published} == made


def test_a_cancelled_job_is_not_announced(world: World) -> None:
    job_id = world.queued()
    world.jobs.cancel(known(world.jobs, job_id))
    world.clock.forward(61)

    assert "published" not in world.round()


def test_an_upload_that_died_is_removed_once_that_is_certain(world: World) -> None:
    run = begun(world.jobs)
    world.write(run, close=False)
    world.clock.forward(60 + 899)
    assert world.round() == {}

    world.clock.forward(2)

    assert world.round() == {"ended_uploads": 1, "swept": 1, "forgotten": 1}
    assert world.mongo.everything() == {}
    assert world.jobs.uploaded(run, 1, "") is None


def test_a_conversion_whose_run_died_is_announced_again_at_most_every_half_hour(world: World) -> None:
    run = world.converting()
    world.clock.forward(61)

    assert world.round() == {"redriven": 1, "swept": 1}
    job = known(world.jobs, run.job_id)
    assert (job["state"], job["litter"], job["outbox"]["video"]) == ("queued", [], {"state": "pending", "n": 2})
    assert world.files() == {"videos.files": 1}
    assert not world.jobs.extend(run, 1)
    world.clock.forward(61)
    assert world.round() == {"published": 1}

    again = world.jobs.take("convert", run.job_id)
    assert again is not None
    assert again.job["work"]["convert"]["attempts"] == 2
    world.clock.forward(61)
    assert "redriven" not in world.round()
    world.clock.forward(1800)
    assert world.round()["redriven"] == 1


def test_a_job_whose_message_was_lost_is_announced_again(world: World) -> None:
    job_id = world.queued()
    world.clock.forward(61)
    world.round()
    world.clock.forward(1799)
    assert world.round() == {}

    world.clock.forward(2)

    assert world.round() == {"redriven": 1}
    world.clock.forward(61)
    assert world.round() == {"published": 1}
    assert known(world.jobs, job_id)["outbox"]["video"] == {"state": "sent", "n": 2}


@pytest.mark.parametrize("sending", [False, True])
def test_a_mail_whose_message_or_run_was_lost_is_announced_again(world: World, sending: bool) -> None:
    job_id = world.done()
    world.clock.forward(61)
    world.round()
    if sending:
        run = world.jobs.take("notify", job_id)
        assert run is not None
        world.jobs.sending(run)
    world.clock.forward(1801)

    assert world.round() == {"redriven": 1}
    world.clock.forward(61)
    assert world.round() == {"published": 1}


def test_a_mail_that_was_put_off_is_announced_when_it_is_due(world: World) -> None:
    job_id = world.done()
    world.clock.forward(61)
    world.round()
    run = world.jobs.take("notify", job_id)
    assert run is not None
    world.jobs.put_off(run, "answer 450")
    world.clock.forward(59)
    assert world.round() == {}

    world.clock.forward(2)

    assert world.round() == {"published": 1}


def test_litter_of_ended_jobs_is_removed_and_that_of_running_ones_is_not(world: World) -> None:
    running, ended = world.converting(), world.converting()
    world.jobs.failed(ended, "corrupt")

    assert world.round() == {"swept": 1}
    assert world.files() == {"videos.files": 1}
    assert known(world.jobs, ended.job_id)["litter"] == []
    assert len(known(world.jobs, running.job_id)["litter"]) == 1


def test_a_database_that_goes_away_while_sweeping_loses_no_mention(world: World) -> None:
    run = world.converting()
    world.jobs.failed(run, "corrupt")
    (job,) = world.jobs.littered()
    for after in range(4):
        world.mongo.database.after = after
        assert not rounds.litter.sweep(world.jobs, world.buckets, job)
        world.mongo.everything()
        assert known(world.jobs, run.job_id)["litter"]

    assert world.round() == {"swept": 1}
    assert world.files() == {}


def test_an_mp3_whose_time_is_over_goes_and_its_record_later(world: World) -> None:
    job_id = world.done()
    world.clock.forward(7 * DAY)

    assert world.round()["expired"] == 1
    assert known(world.jobs, job_id)["state"] == "expired"
    assert world.files() == {}
    world.clock.forward(30 * DAY + 1)
    assert world.round() == {"forgotten": 1}
    assert world.mongo.everything() == {}


def test_what_has_no_end_after_a_week_fails_with_a_mail_unless_it_runs(world: World) -> None:
    stuck, alive = world.queued(), world.converting()
    world.clock.forward(7 * DAY + 1)
    world.jobs.extend(alive, 50)

    assert world.round()["timed_out"] == 1
    job = known(world.jobs, stuck)
    assert (job["state"], job["error"]["code"], job["mail"]["state"]) == ("failed", "timeout", "pending")
    assert known(world.jobs, alive.job_id)["state"] == "converting"


def test_two_janitors_at_once_do_everything_once(world: World) -> None:
    run = world.converting()
    world.clock.forward(61)
    stale = list(world.jobs.littered())
    assert world.round()["redriven"] == 1

    assert world.jobs.redrive() == 0
    assert all(rounds.litter.sweep(world.jobs, world.buckets, job) for job in stale)
    assert known(world.jobs, run.job_id)["outbox"]["video"]["n"] == 2


def test_files_that_no_job_names_are_removed_when_they_are_old(world: World) -> None:
    kept = world.queued()
    for bucket in world.buckets.values():
        for age, close in ((7200, True), (7300, False), (0, True)):
            time = datetime.now(UTC) - timedelta(seconds=age)
            writer = bucket.writer(ObjectId.from_datetime(time))
            writer.write(CHUNK)
            if close:
                writer.close("a", {})
            else:
                writer.finish()
    old_run = world.converting()
    world.jobs.hand_back(old_run, counted=True)

    assert rounds.remove_orphans(world.jobs, world.buckets, 3600) == 4
    assert known(world.jobs, kept)["video"]["file_id"] in set(world.buckets[VIDEOS].ids())
    assert world.files() == {"videos.files": 3, "mp3s.files": 1}


def test_giving_up_is_not_undone_by_the_janitor(world: World) -> None:
    job_id = world.queued()
    for _ in range(ATTEMPTS):
        assert Contract.take(world.jobs, "convert", job_id)
        world.clock.forward(1801)
        world.round()

    assert Contract.take(world.jobs, "convert", job_id).gave_up


def test_a_conversion_that_is_announced_again_starts_from_nothing(world: World) -> None:
    run = world.converting()
    world.jobs.extend(run, 50)
    world.clock.forward(61)
    world.round()

    job = known(world.jobs, run.job_id)
    assert (job["state"], job["progress"]) == ("queued", 0)


def test_what_a_thawed_upload_of_a_cancelled_job_left_is_removed(world: World) -> None:
    run = begun(world.jobs)
    world.jobs.cancel(known(world.jobs, run.job_id))
    world.round()
    world.write(run, close=False)
    assert known(world.jobs, run.job_id)["litter"] == []

    world.buckets[VIDEOS].writer(run.file_id).close("a.mp4", {})

    assert rounds.remove_orphans(world.jobs, world.buckets, -5) >= 1
    assert world.files() == {}


def test_a_record_is_kept_for_as_long_as_its_mp3(world: World) -> None:
    run = world.converting(close=True)
    assert world.jobs.converted(run, {"file_id": run.file_id, "length": len(CHUNK)}, {}, timedelta(days=60))
    mail = world.jobs.take("notify", run.job_id)
    assert mail is not None
    assert world.jobs.mailed(mail)
    world.round()
    world.clock.forward(31 * DAY)
    world.round()

    assert known(world.jobs, run.job_id)["state"] == "done"
    assert rounds.remove_orphans(world.jobs, world.buckets, -5) == 0


def test_an_upload_that_died_frees_its_idempotency_key(world: World) -> None:
    assert world.jobs.begin("owner-1", "a@demo.example", "a.mp4", "k")
    world.clock.forward(60 + 901)

    world.jobs.end_dead_uploads()

    assert world.jobs.of_key("owner-1", "k") is None
    assert world.jobs.begin("owner-1", "a@demo.example", "a.mp4", "k")


def test_a_job_that_has_gone_on_is_not_announced_and_stops_nobody(world: World) -> None:
    job_id = world.done()
    expired = world.jobs.expire(known(world.jobs, job_id))
    assert expired is not None

    assert outbox.announce(world.jobs, world.publisher, expired, "mp3")
    assert world.publisher.published == []
