"""Convert's runs among others: cancelled, overtaken, one at a time, and at the end of their process."""

import threading

import pytest

from functions.convert import handler
from functions.convert.errors import Stopped
from tests.contracts import known
from tests.unit.converting import World


def test_a_cancelled_job_leaves_nothing(convert_world: World) -> None:
    job_id = convert_world.queued()

    def ends() -> None:
        job = convert_world.jobs.cancel(known(convert_world.jobs, job_id))
        assert job is not None
        convert_world.services.videos.delete(job["video"]["file_id"])
        raise Stopped

    convert_world.ends = ends

    assert convert_world.deliver(job_id) == 200
    assert convert_world.job(job_id)["state"] == "cancelled"
    assert convert_world.mongo.everything() == {"jobs": 1}


def test_a_run_that_was_overtaken_overwrites_nothing_and_removes_its_own(convert_world: World) -> None:
    job_id = convert_world.queued()

    def overtaken() -> None:
        convert_world.clock.forward(61)
        convert_world.ends = lambda: None
        convert_world.services.gate.release()  # the other run is in another process
        assert convert_world.deliver(job_id) == 200
        convert_world.services.gate.acquire()

    convert_world.ends = overtaken

    assert convert_world.deliver(job_id) == 200
    assert convert_world.conversions == 2
    assert convert_world.job(job_id)["state"] == "done"
    assert convert_world.mongo.everything() == {"jobs": 1, "mp3s.files": 1, "mp3s.chunks": 2}
    assert len(convert_world.publisher.published) == 1


def test_while_another_run_has_the_job_the_answer_is_409(convert_world: World) -> None:
    job_id = convert_world.queued()
    convert_world.jobs.take("convert", job_id)

    assert convert_world.deliver(job_id) == 409
    assert convert_world.conversions == 0


def test_a_process_converts_one_video_at_a_time(convert_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "BUSY_SECONDS", 0.01)
    first, second, running = convert_world.queued(), convert_world.queued(), threading.Event()
    release = threading.Event()

    def ends() -> None:
        running.set()
        release.wait(10)

    convert_world.ends = ends
    thread = threading.Thread(target=convert_world.deliver, args=[first])
    thread.start()
    running.wait(10)

    assert convert_world.deliver(second) == 409
    release.set()
    thread.join()
    assert convert_world.deliver(second) == 200


def test_what_does_not_fit_the_end_of_the_process_is_handed_back_uncounted(convert_world: World) -> None:
    job_id = convert_world.queued()

    def told_to_end() -> None:
        assert not convert_world.stopped.is_set()
        convert_world.draining.begin(0)
        assert convert_world.stopped.is_set()
        raise Stopped

    convert_world.ends = told_to_end

    assert convert_world.deliver(job_id) == 503
    job = convert_world.job(job_id)
    assert (job["state"], job["progress"], job["work"]["convert"]) == ("queued", 0, {"attempts": 0})
    assert convert_world.mongo.everything() == {"jobs": 1, "videos.files": 1, "videos.chunks": 2}


def test_what_fits_the_end_of_the_process_is_finished(convert_world: World) -> None:
    job_id = convert_world.queued()

    def told_to_end() -> None:
        convert_world.draining.begin(60)
        assert not convert_world.stopped.is_set()

    convert_world.ends = told_to_end

    assert convert_world.deliver(job_id) == 200
    assert convert_world.job(job_id)["state"] == "done"


def test_a_cancelled_job_is_not_handed_back_at_the_end_of_the_process(convert_world: World) -> None:
    job_id = convert_world.queued()

    def told_to_end() -> None:
        convert_world.draining.begin(0)
        assert convert_world.stopped.is_set()
        job = convert_world.jobs.cancel(known(convert_world.jobs, job_id))
        assert job is not None
        convert_world.services.videos.delete(job["video"]["file_id"])
        raise Stopped

    convert_world.ends = told_to_end

    assert convert_world.deliver(job_id) == 200
    assert convert_world.job(job_id)["state"] == "cancelled"
    assert convert_world.mongo.everything() == {"jobs": 1}


def test_a_process_that_ends_takes_no_job(convert_world: World) -> None:
    job_id = convert_world.queued()
    convert_world.draining.begin(600)

    assert convert_world.deliver(job_id) == 503
    assert (convert_world.conversions, convert_world.job(job_id)["state"]) == (0, "queued")
    assert convert_world.job(job_id)["work"].get("convert", {}).get("attempts", 0) == 0
