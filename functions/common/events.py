"""The events between the functions: CloudEvents 1.0, structured JSON, nothing in them but the job's id.

An event's id is the job's id and the stage that it wakes, so it stays the same however often it is published.
Reading trusts only that id: what a job is and what is to be done with it stands in its record.
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

CONTENT_TYPE = "application/cloudevents+json"
SOURCE = "/jobs"

VIDEO_UPLOADED = "video.uploaded.v1"
MP3_READY = "mp3.ready.v1"
CONVERSION_FAILED = "conversion.failed.v1"

_STAGES = {VIDEO_UPLOADED: "convert", MP3_READY: "notify", CONVERSION_FAILED: "notify"}
_ANNOUNCED = {"queued": VIDEO_UPLOADED, "done": MP3_READY, "failed": CONVERSION_FAILED}


class UnreadableEventError(ValueError):
    """An event came that names no job; it will never be readable, so the answer is 422."""


class Incoming(Protocol):
    """What is read of an arrived event: the CloudEvent that functions-framework hands over has it."""

    def get_data(self) -> Any:
        """The event's data, parsed if it was JSON."""


@dataclass(frozen=True)
class Event:
    """That `kind` happened to the job; `time` is when it was told."""

    kind: str
    job_id: str
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def id(self) -> str:
        """The same for every publication and delivery of this fact."""
        return f"{self.job_id}.{_STAGES[self.kind]}"

    def body(self) -> bytes:
        """The CloudEvent in structured mode, for a message of the type CONTENT_TYPE."""
        event = {
            "specversion": "1.0",
            "id": self.id,
            "source": SOURCE,
            "type": self.kind,
            "time": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": {"job_id": self.job_id},
        }
        return json.dumps(event, separators=(",", ":")).encode()


def announcement(job_id: str, state: str) -> Event:
    """What a job in `state` (queued, done or failed) tells. Raises ValueError for a state that tells nothing."""
    if state not in _ANNOUNCED:
        raise ValueError(f"a job that is {state} announces nothing")
    return Event(_ANNOUNCED[state], job_id)


def job_id(event: Incoming) -> str:
    """The id of the job that an arrived event is about. Raises UnreadableEventError."""
    data = event.get_data()
    value = data.get("job_id") if isinstance(data, dict) else None
    if not isinstance(value, str):
        raise UnreadableEventError("the event's data names no job_id")
    try:
        canonical = str(uuid.UUID(value))
    except ValueError:
        raise UnreadableEventError("the event's job_id is not a UUID") from None
    if canonical != value:
        raise UnreadableEventError("the event's job_id is not written the way we write it")
    return value
