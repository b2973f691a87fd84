"""What convert's handler makes of each way a conversion can end; the child itself is tested beside this."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from pymongo.errors import ServerSelectionTimeoutError
from werkzeug.exceptions import HTTPException

from functions.common import runs
from functions.common.draining import Draining
from functions.common.files import MP3S, VIDEOS, Bucket
from functions.common.jobrecord import ATTEMPTS
from functions.common.jobs import Jobs
from functions.convert import handler
from functions.convert.child import Result
from functions.convert.errors import ChildDied, MediaError, NotCopyable, Stopped
from tests.contracts import Clock, begun, known
from tests.fakes import FakeMongo, FakePublisher

VIDEO = b"v" * 300_000
MP3 = b"????" + b"m" * 500_000


class World:
    """A convert function over fakes; `ends` says how the child ends once it has written the MP3."""

    def __init__(self, mongo: Any, publisher: Any) -> None:
        self.mongo, self.publisher, self.clock = mongo, publisher, Clock()
        self.jobs = Jobs(lambda: mongo.database["jobs"], 60, self.clock)
        self.ends: Callable[[], None] = lambda: None
        self.conversions = 0
        self.asked: list[tuple[Any, bool]] = []
        self.draining = Draining()
        self.mp3s = Bucket(mongo, MP3S)
        self.services = handler.Services(
            self.jobs,
            Bucket(mongo, VIDEOS),
            self.mp3s,
            publisher,
            480,
            560,
            7,
            convert=self.convert,
            draining=self.draining,
        )

    def convert(
        self,
        fetch: Any,
        length: int,
        chunk: int,
        write: Any,
        progress: Any,
        deadline: float,
        stopped: Any,
        options: Any,
        *,
        may_copy: bool = True,
    ) -> Any:
        self.asked.append((options, may_copy))
        self.conversions += 1
        self.stopped = stopped
        assert b"".join(fetch(range(-(-length // chunk)))) == VIDEO
        write(MP3)
        progress(50)
        self.ends()
        return Result(b"head", 1.0, 48_000, 48_000, 2, "aac", 190_000, len(VIDEO), len(MP3), 0.1, 1 << 20, "encode")

    def queued(self, options: dict[str, Any] | None = None, filename: str = "clip.mp4") -> str:
        run = begun(self.jobs, filename=filename)
        writer = Bucket(self.mongo, VIDEOS).writer(run.file_id)
        writer.write(VIDEO)
        writer.close(filename, {})
        self.jobs.uploaded(run, len(VIDEO), "00", options)
        return run.job_id

    def deliver(self, job_id: str) -> int:
        """Delivers the event; the status that the source would see."""
        event = CloudEvent({"type": "video.uploaded.v1", "source": "/jobs"}, {"job_id": job_id})
        try:
            handler.handle(event, self.services)
        except HTTPException as error:
            return error.code or 500
        return 200

    def job(self, job_id: str) -> dict[str, Any]:
        job = self.jobs.get(job_id, "owner-1")
        assert job is not None
        return job


@pytest.fixture
def world(mongo: FakeMongo, publisher: FakePublisher, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(runs, "PAUSE_SECONDS", 0)
    return World(mongo, publisher)


def fail_with(error: Exception) -> Callable[[], None]:
    def ends() -> None:
        raise error

    return ends


def test_a_video_becomes_an_mp3_and_is_removed(world: World) -> None:
    job_id = world.queued()

    assert world.deliver(job_id) == 200

    job = world.job(job_id)
    stored = b"".join(world.mp3s.read(job["mp3"]["file_id"], job["mp3"]["length"], 0, job["mp3"]["length"]))
    assert (job["state"], job["mp3"]["filename"], stored) == ("done", "clip.mp3", b"head" + MP3[4:])
    assert world.mongo.everything() == {"jobs": 1, "mp3s.files": 1, "mp3s.chunks": 2}
    assert [(queue, event.kind) for queue, event in world.publisher.published] == [("mp3", "mp3.ready.v1")]
    assert job["outbox"]["mp3"]["state"] == "sent"


def test_however_often_the_event_comes_it_is_converted_once(world: World) -> None:
    job_id = world.queued()

    assert [world.deliver(job_id) for _ in range(4)] == [200] * 4
    assert world.conversions == 1


def test_a_late_duplicate_costs_two_database_calls(world: World) -> None:
    job_id = world.queued()
    world.deliver(job_id)
    before = world.mongo.database.operations

    world.deliver(job_id)

    assert world.mongo.database.operations - before <= 2


@pytest.mark.parametrize(
    "code", ["no_audio", "corrupt", "unsupported", "too_long", "no_such_track", "nothing_left", "time_limit"]
)
def test_a_videos_own_fault_is_recorded_announced_and_never_retried(world: World, code: str) -> None:
    job_id = world.queued()
    world.ends = fail_with(MediaError(code))

    assert [world.deliver(job_id), world.deliver(job_id)] == [200, 200]

    assert (world.job(job_id)["state"], world.job(job_id)["error"]["code"]) == ("failed", code)
    assert world.conversions == 1
    assert world.mongo.everything() == {"jobs": 1}
    assert [event.kind for _, event in world.publisher.published] == ["conversion.failed.v1"]


def test_options_reach_the_converter(world: World) -> None:
    job_id = world.queued(options={"quality": "V0"})

    assert world.deliver(job_id) == 200

    assert world.asked == [({"quality": "V0"}, True)]


def test_what_turns_out_not_to_be_copyable_is_begun_anew(world: World) -> None:
    job_id = world.queued()

    def refuses_copying() -> None:
        if len(world.asked) == 1:
            raise NotCopyable

    world.ends = refuses_copying
    assert world.deliver(job_id) == 200

    assert [may_copy for _, may_copy in world.asked] == [True, False]
    mp3 = world.job(job_id)["mp3"]
    assert b"".join(world.mp3s.read(mp3["file_id"], mp3["length"], 0, mp3["length"])) == b"head" + MP3[4:]


@pytest.mark.parametrize(
    ("video", "mp3"),
    [("clip.mp4", "clip.mp3"), ("-i.mp4", "-i.mp3"), ("a%03d|b.mkv", "a%03d|b.mp3"), ("a.b", "a.mp3"), ("x", "x.mp3")],
)
def test_the_mp3_has_the_video_s_name_as_data_only(world: World, video: str, mp3: str) -> None:
    job_id = world.queued(filename=video)

    assert world.deliver(job_id) == 200
    assert world.job(job_id)["mp3"]["filename"] == mp3


def test_a_hole_in_the_stored_video_is_a_corrupt_video(world: World) -> None:
    job_id = world.queued()
    world.mongo.database["videos.chunks"].delete_one({"n": 1})

    assert world.deliver(job_id) == 200
    assert world.job(job_id)["error"]["code"] == "corrupt"


def test_a_dead_child_is_tried_again_and_counted(world: World) -> None:
    job_id = world.queued()
    world.ends = fail_with(ChildDied("killed"))

    assert world.deliver(job_id) == 503
    assert world.job(job_id)["state"] == "queued"
    assert "mp3s.chunks" not in world.mongo.everything()
    assert [world.deliver(job_id) for _ in range(ATTEMPTS + 1)] == [503] * (ATTEMPTS - 1) + [200, 200]
    assert world.job(job_id)["error"]["code"] == "gave_up"
    assert world.conversions == ATTEMPTS
    assert world.mongo.everything() == {"jobs": 1}


def test_a_database_that_is_away_fails_no_job_however_often(world: World) -> None:
    job_id = world.queued()
    world.ends = fail_with(ServerSelectionTimeoutError("away"))
    assert [world.deliver(job_id) for _ in range(2 * ATTEMPTS)] == [503] * 2 * ATTEMPTS

    world.ends = lambda: None
    assert world.deliver(job_id) == 200
    assert world.job(job_id)["state"] == "done"


@pytest.mark.parametrize("refused", [["insert"], ["insert", "update"], ["insert", "update", "delete"]])
def test_a_full_storage_is_not_the_videos_fault_and_counts_nothing(world: World, refused: list[str]) -> None:
    job_id = world.queued()
    world.mongo.database.refused = refused
    assert [world.deliver(job_id) for _ in range(2 * ATTEMPTS)] == [503] * 2 * ATTEMPTS

    world.mongo.database.refused = []
    assert world.deliver(job_id) == 200
    job = world.job(job_id)
    assert (job["state"], job["work"]["convert"]["attempts"]) == ("done", 1)
    assert world.mongo.everything() == {"jobs": 1, "mp3s.files": 1, "mp3s.chunks": 2}


def test_a_mistake_of_ours_is_not_hidden(world: World) -> None:
    job_id = world.queued()
    world.ends = fail_with(KeyError("bug"))

    with pytest.raises(KeyError):
        world.deliver(job_id)
    assert world.job(job_id)["state"] == "queued"


def test_a_cancelled_job_leaves_nothing(world: World) -> None:
    job_id = world.queued()

    def ends() -> None:
        job = world.jobs.cancel(known(world.jobs, job_id))
        assert job is not None
        world.services.videos.delete(job["video"]["file_id"])
        raise Stopped

    world.ends = ends

    assert world.deliver(job_id) == 200
    assert world.job(job_id)["state"] == "cancelled"
    assert world.mongo.everything() == {"jobs": 1}


def test_a_run_that_was_overtaken_overwrites_nothing_and_removes_its_own(world: World) -> None:
    job_id = world.queued()

    def overtaken() -> None:
        world.clock.forward(61)
        world.ends = lambda: None
        world.services.gate.release()  # the other run is in another process
        assert world.deliver(job_id) == 200
        world.services.gate.acquire()

    world.ends = overtaken

    assert world.deliver(job_id) == 200
    assert world.conversions == 2
    assert world.job(job_id)["state"] == "done"
    assert world.mongo.everything() == {"jobs": 1, "mp3s.files": 1, "mp3s.chunks": 2}
    assert len(world.publisher.published) == 1


def test_while_another_run_has_the_job_the_answer_is_409(world: World) -> None:
    job_id = world.queued()
    world.jobs.take("convert", job_id)

    assert world.deliver(job_id) == 409
    assert world.conversions == 0


def test_a_process_converts_one_video_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "BUSY_SECONDS", 0.01)
    first, second, running = world.queued(), world.queued(), threading.Event()
    release = threading.Event()

    def ends() -> None:
        running.set()
        release.wait(10)

    world.ends = ends
    thread = threading.Thread(target=world.deliver, args=[first])
    thread.start()
    running.wait(10)

    assert world.deliver(second) == 409
    release.set()
    thread.join()
    assert world.deliver(second) == 200


def test_a_broker_that_is_away_leaves_a_done_job_with_its_event_pending(world: World) -> None:
    job_id = world.queued()
    world.publisher.down = True

    assert world.deliver(job_id) == 200
    assert world.job(job_id)["state"] == "done"
    assert world.job(job_id)["outbox"]["mp3"]["state"] == "pending"


@pytest.mark.parametrize("job_id", [None, "", "nonsense", 5])
def test_an_event_without_a_readable_job_id_is_422(world: World, job_id: Any) -> None:
    assert world.deliver(job_id) == 422


def test_what_does_not_fit_the_end_of_the_process_is_handed_back_uncounted(world: World) -> None:
    job_id = world.queued()

    def told_to_end() -> None:
        assert not world.stopped.is_set()
        world.draining.begin(0)
        assert world.stopped.is_set()
        raise Stopped

    world.ends = told_to_end

    assert world.deliver(job_id) == 503
    job = world.job(job_id)
    assert (job["state"], job["progress"], job["work"]["convert"]) == ("queued", 0, {"attempts": 0})
    assert world.mongo.everything() == {"jobs": 1, "videos.files": 1, "videos.chunks": 2}


def test_what_fits_the_end_of_the_process_is_finished(world: World) -> None:
    job_id = world.queued()

    def told_to_end() -> None:
        world.draining.begin(60)
        assert not world.stopped.is_set()

    world.ends = told_to_end

    assert world.deliver(job_id) == 200
    assert world.job(job_id)["state"] == "done"


def test_a_cancelled_job_is_not_handed_back_at_the_end_of_the_process(world: World) -> None:
    job_id = world.queued()

    def told_to_end() -> None:
        world.draining.begin(0)
        assert world.stopped.is_set()
        job = world.jobs.cancel(known(world.jobs, job_id))
        assert job is not None
        world.services.videos.delete(job["video"]["file_id"])
        raise Stopped

    world.ends = told_to_end

    assert world.deliver(job_id) == 200
    assert world.job(job_id)["state"] == "cancelled"
    assert world.mongo.everything() == {"jobs": 1}


def test_a_process_that_ends_takes_no_job(world: World) -> None:
    job_id = world.queued()
    world.draining.begin(600)

    assert world.deliver(job_id) == 503
    assert (world.conversions, world.job(job_id)["state"]) == (0, "queued")
    assert world.job(job_id)["work"].get("convert", {}).get("attempts", 0) == 0
