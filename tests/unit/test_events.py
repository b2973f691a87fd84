"""What an event says, and which arrived events are readable."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.http import CloudEvent, from_http, from_json

from functions.common import events

JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"


def arrived(data: Any) -> CloudEvent:
    return CloudEvent({"type": "t", "source": "/jobs"}, data)


@pytest.mark.parametrize(
    ("state", "kind", "event_id"),
    [
        ("queued", "video.uploaded.v1", f"{JOB}.convert"),
        ("done", "mp3.ready.v1", f"{JOB}.notify"),
        ("failed", "conversion.failed.v1", f"{JOB}.notify"),
    ],
)
def test_a_job_announces_what_its_state_says(state: str, kind: str, event_id: str) -> None:
    event = events.announcement(JOB, state)

    assert (event.kind, event.id, event.job_id) == (kind, event_id, JOB)


@pytest.mark.parametrize("state", ["uploading", "converting", "cancelled", "expired", ""])
def test_other_states_announce_nothing(state: str) -> None:
    with pytest.raises(ValueError, match="announces nothing"):
        events.announcement(JOB, state)


def test_the_body_is_a_structured_cloudevent_with_nothing_in_it_but_the_job() -> None:
    event = events.Event(events.VIDEO_UPLOADED, JOB, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))

    assert json.loads(event.body()) == {
        "specversion": "1.0",
        "id": f"{JOB}.convert",
        "source": "/jobs",
        "type": "video.uploaded.v1",
        "time": "2026-01-02T03:04:05.678Z",
        "datacontenttype": "application/json",
        "data": {"job_id": JOB},
    }


def test_publishing_the_same_fact_again_keeps_its_id() -> None:
    first, second = events.announcement(JOB, "queued"), events.announcement(JOB, "queued")

    assert first.id == second.id


def test_the_cloudevents_library_reads_what_is_written() -> None:
    event = events.announcement(JOB, "done")

    read = from_json(event.body())

    assert (read["id"], read["type"], read["source"]) == (event.id, "mp3.ready.v1", "/jobs")
    assert events.job_id(read) == JOB


def test_an_event_that_came_in_binary_mode_is_read_too() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t", "ce-source": "/s"}

    assert events.job_id(from_http(headers, json.dumps({"job_id": JOB}).encode())) == JOB


@pytest.mark.parametrize(
    "data",
    [
        None,
        "",
        "text",
        b"\xff",
        [],
        [JOB],
        7,
        JOB,
        {},
        {"job": JOB},
        {"job_id": None},
        {"job_id": ""},
        {"job_id": 7},
        {"job_id": [JOB]},
        {"job_id": {"$gt": ""}},
        {"job_id": "nonsense"},
        {"job_id": JOB.upper()},
        {"job_id": JOB.replace("-", "")},
        {"job_id": f"{{{JOB}}}"},
        {"job_id": f"urn:uuid:{JOB}"},
        {"job_id": f" {JOB}"},
        {"job_id": f"{JOB}\n"},
    ],
)
def test_an_event_without_a_job_id_as_we_write_it_is_unreadable(data: Any) -> None:
    with pytest.raises(events.UnreadableEventError):
        events.job_id(arrived(data))


def test_unreadable_is_a_value_error() -> None:
    assert issubclass(events.UnreadableEventError, ValueError)
