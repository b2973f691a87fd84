"""What a message becomes on its way to a function: the rules of Knative's adapter, read in its source.

A CloudEvent in structured mode keeps its attributes; anything else is wrapped as `dev.knative.rabbitmq.event`.
"""

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pika

_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;[\x20-\x7e]*)?", re.ASCII)
_PRINTABLE = "!#$&'()*+,/:;<=>?@[\\]^`{|}~"  # what the CloudEvents HTTP binding leaves as it is


class InvalidEventError(ValueError):
    """The message cannot be made a CloudEvent, so the adapter rejects it unseen."""


@dataclass(frozen=True)
class Call:
    """One event as the function gets it: CloudEvents 1.0 over HTTP, binary mode. `job` is for the log alone."""

    event_id: str
    headers: dict[str, str]
    body: bytes
    job: str | None = None


def convert(properties: pika.BasicProperties, body: bytes, queue: str) -> Call:
    """The call that a message becomes. Raises InvalidEventError."""
    content_type = properties.content_type or ""
    if content_type.partition(";")[0].strip().lower() == "application/cloudevents+json":
        return _structured(body)
    try:
        told = datetime.fromtimestamp(properties.timestamp, UTC) if properties.timestamp else datetime.now(UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidEventError("the timestamp is out of range") from None
    event_id = properties.message_id or str(uuid.uuid4())
    attributes = {
        "specversion": "1.0",
        "type": "dev.knative.rabbitmq.event",
        "source": f"/apis/v1/namespaces/local/rabbitmqsources/{queue}#{queue}",
        "id": event_id,
        "subject": event_id,
        "time": told.isoformat().replace("+00:00", "Z"),
    }
    return Call(event_id, _headers(attributes, content_type), body)


def _structured(body: bytes) -> Call:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidEventError("the body is not JSON") from None
    if not isinstance(event, dict) or event.get("specversion") not in ("1.0", "0.3"):
        raise InvalidEventError("the body is not a CloudEvent")
    event = {name: value for name, value in event.items() if value is not None}
    data, binary = event.pop("data", None), event.pop("data_base64", None)
    content_type = event.pop("datacontenttype", "application/json")
    for name in ("id", "source", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise InvalidEventError(f"the CloudEvent has no {name}")
    job = data.get("job_id") if isinstance(data, dict) else None
    return Call(event["id"], _headers(event, content_type), _payload(data, binary, content_type), job)


def _payload(data: Any, binary: Any, content_type: str) -> bytes:
    if binary is not None:
        try:
            return base64.b64decode(binary, validate=True)
        except (ValueError, TypeError):
            raise InvalidEventError("data_base64 is not base64") from None
    if data is None:
        return b""
    if isinstance(data, str) and "json" not in content_type:
        return data.encode(errors="replace")
    return json.dumps(data).encode()


def _headers(attributes: Mapping[str, Any], content_type: Any) -> dict[str, str]:
    headers = {}
    for name, value in attributes.items():
        if not re.fullmatch("[A-Za-z0-9]+", name) or not isinstance(value, str | int):
            raise InvalidEventError(f"the attribute {name!r} is not one of a CloudEvent")
        text = value if isinstance(value, str) else json.dumps(value)
        headers[f"Ce-{name.title()}"] = quote(text, safe=_PRINTABLE, errors="replace")
    if content_type:
        if not isinstance(content_type, str) or not _MEDIA_TYPE.fullmatch(content_type):
            raise InvalidEventError("the content type is not a media type")
        headers["Content-Type"] = content_type
    return headers
