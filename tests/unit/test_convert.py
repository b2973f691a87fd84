"""What convert's handler makes of each way a conversion can end; the child itself is tested beside this."""

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from functions.common.jobrecord import ATTEMPTS
from functions.convert.errors import ChildDied, MediaError, NotCopyable
from tests.unit.converting import MP3, World


def fail_with(error: Exception) -> Callable[[], None]:
    def ends() -> None:
        raise error

    return ends


def test_a_video_becomes_an_mp3_and_is_removed(convert_world: World) -> None:
    job_id = convert_world.queued()

    assert convert_world.deliver(job_id) == 200

    job = convert_world.job(job_id)
    stored = b"".join(convert_world.mp3s.read(job["mp3"]["file_id"], job["mp3"]["length"], 0, job["mp3"]["length"]))
    assert (job["state"], job["mp3"]["filename"], stored) == ("done", "clip.mp3", b"head" + MP3[4:])
    assert convert_world.mongo.everything() == {"jobs": 1, "mp3s.files": 1, "mp3s.chunks": 2}
    assert [(queue, event.kind) for queue, event in convert_world.publisher.published] == [("mp3", "mp3.ready.v1")]
    assert job["outbox"]["mp3"]["state"] == "sent"


def test_however_often_the_event_comes_it_is_converted_once(convert_world: World) -> None:
    job_id = convert_world.queued()

    assert [convert_world.deliver(job_id) for _ in range(4)] == [200] * 4
    assert convert_world.conversions == 1


def test_a_late_duplicate_costs_two_database_calls(convert_world: World) -> None:
    job_id = convert_world.queued()
    convert_world.deliver(job_id)
    before = convert_world.mongo.database.operations

    convert_world.deliver(job_id)

    assert convert_world.mongo.database.operations - before <= 2


@pytest.mark.parametrize(
    "code", ["no_audio", "corrupt", "unsupported", "too_long", "no_such_track", "nothing_left", "time_limit"]
)
def test_a_videos_own_fault_is_recorded_announced_and_never_retried(convert_world: World, code: str) -> None:
    job_id = convert_world.queued()
    convert_world.ends = fail_with(MediaError(code))

    assert [convert_world.deliver(job_id), convert_world.deliver(job_id)] == [200, 200]

    assert (convert_world.job(job_id)["state"], convert_world.job(job_id)["error"]["code"]) == ("failed", code)
    assert convert_world.conversions == 1
    assert convert_world.mongo.everything() == {"jobs": 1}
    assert [event.kind for _, event in convert_world.publisher.published] == ["conversion.failed.v1"]


def test_options_reach_the_converter(convert_world: World) -> None:
    job_id = convert_world.queued(options={"quality": "V0"})

    assert convert_world.deliver(job_id) == 200

    assert convert_world.asked == [({"quality": "V0"}, True)]


def test_what_turns_out_not_to_be_copyable_is_begun_anew(convert_world: World) -> None:
    job_id = convert_world.queued()

    def refuses_copying() -> None:
        if len(convert_world.asked) == 1:
            raise NotCopyable

    convert_world.ends = refuses_copying
    assert convert_world.deliver(job_id) == 200

    assert [may_copy for _, may_copy in convert_world.asked] == [True, False]
    mp3 = convert_world.job(job_id)["mp3"]
    assert b"".join(convert_world.mp3s.read(mp3["file_id"], mp3["length"], 0, mp3["length"])) == b"head" + MP3[4:]


@pytest.mark.parametrize(
    ("video", "mp3"),
    [("clip.mp4", "clip.mp3"), ("-i.mp4", "-i.mp3"), ("a%03d|b.mkv", "a%03d|b.mp3"), ("a.b", "a.mp3"), ("x", "x.mp3")],
)
def test_the_mp3_has_the_video_s_name_as_data_only(convert_world: World, video: str, mp3: str) -> None:
    job_id = convert_world.queued(filename=video)

    assert convert_world.deliver(job_id) == 200
    assert convert_world.job(job_id)["mp3"]["filename"] == mp3


def test_a_hole_in_the_stored_video_is_a_corrupt_video(convert_world: World) -> None:
    job_id = convert_world.queued()
    convert_world.mongo.database["videos.chunks"].delete_one({"n": 1})

    assert convert_world.deliver(job_id) == 200
    assert convert_world.job(job_id)["error"]["code"] == "corrupt"


def test_a_dead_child_is_tried_again_and_counted(convert_world: World) -> None:
    job_id = convert_world.queued()
    convert_world.ends = fail_with(ChildDied("killed"))

    assert convert_world.deliver(job_id) == 503
    assert convert_world.job(job_id)["state"] == "queued"
    assert "mp3s.chunks" not in convert_world.mongo.everything()
    assert [convert_world.deliver(job_id) for _ in range(ATTEMPTS + 1)] == [503] * (ATTEMPTS - 1) + [200, 200]
    assert convert_world.job(job_id)["error"]["code"] == "gave_up"
    assert convert_world.conversions == ATTEMPTS
    assert convert_world.mongo.everything() == {"jobs": 1}


def test_a_database_that_is_away_fails_no_job_however_often(convert_world: World) -> None:
    job_id = convert_world.queued()
    convert_world.ends = fail_with(ServerSelectionTimeoutError("away"))
    assert [convert_world.deliver(job_id) for _ in range(2 * ATTEMPTS)] == [503] * 2 * ATTEMPTS

    convert_world.ends = lambda: None
    assert convert_world.deliver(job_id) == 200
    assert convert_world.job(job_id)["state"] == "done"


@pytest.mark.parametrize("refused", [["insert"], ["insert", "update"], ["insert", "update", "delete"]])
def test_a_full_storage_is_not_the_videos_fault_and_counts_nothing(convert_world: World, refused: list[str]) -> None:
    job_id = convert_world.queued()
    convert_world.mongo.database.refused = refused
    assert [convert_world.deliver(job_id) for _ in range(2 * ATTEMPTS)] == [503] * 2 * ATTEMPTS

    convert_world.mongo.database.refused = []
    assert convert_world.deliver(job_id) == 200
    job = convert_world.job(job_id)
    assert (job["state"], job["work"]["convert"]["attempts"]) == ("done", 1)
    assert convert_world.mongo.everything() == {"jobs": 1, "mp3s.files": 1, "mp3s.chunks": 2}


def test_a_mistake_of_ours_is_not_hidden(convert_world: World) -> None:
    job_id = convert_world.queued()
    convert_world.ends = fail_with(KeyError("bug"))

    with pytest.raises(KeyError):
        convert_world.deliver(job_id)
    assert convert_world.job(job_id)["state"] == "queued"


def test_a_broker_that_is_away_leaves_a_done_job_with_its_event_pending(convert_world: World) -> None:
    job_id = convert_world.queued()
    convert_world.publisher.down = True

    assert convert_world.deliver(job_id) == 200
    assert convert_world.job(job_id)["state"] == "done"
    assert convert_world.job(job_id)["outbox"]["mp3"]["state"] == "pending"


@pytest.mark.parametrize("job_id", [None, "", "nonsense", 5])
def test_an_event_without_a_readable_job_id_is_422(convert_world: World, job_id: Any) -> None:
    assert convert_world.deliver(job_id) == 422
