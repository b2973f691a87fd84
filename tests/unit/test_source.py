"""The source's rules without a broker: what a message becomes, what an answer means, how often a call is repeated."""

import json
from typing import Any

import pytest
from cloudevents.http import from_http
from pika import BasicProperties

from functions.common import events
from tests.source_program import load

conversion = load("conversion")
delivery = load("delivery")
consumer = load("consumer")

JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"
STRUCTURED = "application/cloudevents+json"
EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def structured(event: Any, content_type: str = STRUCTURED) -> Any:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return conversion.convert(BasicProperties(content_type=content_type), body, "video")


class Function:
    """Gives its answers one after the other and then the last one again."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Pauses:
    """A clock that only notes how long it should have waited; the pause number `stop_at` is interrupted."""

    def __init__(self, stop_at: int = 0) -> None:
        self.seconds: list[float] = []
        self._stop_at = stop_at

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) == self._stop_at


# -- what a message becomes


def test_our_own_event_arrives_with_its_attributes_as_headers_and_its_data_as_body() -> None:
    event = events.announcement(JOB, "queued")

    call = structured(event.body())

    assert call.headers["Ce-Id"] == call.event_id == f"{JOB}.convert"
    assert call.headers["Ce-Specversion"] == "1.0"
    assert call.headers["Ce-Type"] == "video.uploaded.v1"
    assert call.headers["Ce-Source"] == "/jobs"
    assert call.headers["Content-Type"] == "application/json"
    assert json.loads(call.body) == {"job_id": JOB}
    assert call.job == JOB


def test_the_function_reads_the_job_from_the_call() -> None:
    call = structured(events.announcement(JOB, "done").body())

    assert events.job_id(from_http(call.headers, call.body)) == JOB


def test_a_plain_message_is_wrapped_the_way_the_adapter_does() -> None:
    properties = BasicProperties(message_id="m-1", content_type="text/plain; charset=utf-8", timestamp=1_700_000_000)

    call = conversion.convert(properties, b"\x00\xffraw", "video")

    assert call.body == b"\x00\xffraw"
    assert call.headers == {
        "Ce-Specversion": "1.0",
        "Ce-Type": "dev.knative.rabbitmq.event",
        "Ce-Source": "/apis/v1/namespaces/local/rabbitmqsources/video#video",
        "Ce-Id": "m-1",
        "Ce-Subject": "m-1",
        "Ce-Time": "2023-11-14T22:13:20Z",
        "Content-Type": "text/plain; charset=utf-8",
    }


def test_a_plain_message_without_id_gets_a_new_one_each_time_and_no_content_type() -> None:
    first, second = (conversion.convert(BasicProperties(), b"x", "video") for _ in range(2))

    assert first.event_id != second.event_id
    assert "Content-Type" not in first.headers


@pytest.mark.parametrize(
    ("data", "content_type", "body"),
    [
        ({"data": {"a": 1}}, "application/json", b'{"a": 1}'),
        ({"data": "text"}, "application/json", b'"text"'),
        ({"data": "text", "datacontenttype": "text/plain"}, "text/plain", b"text"),
        ({"data_base64": "AAH/", "datacontenttype": "audio/mpeg"}, "audio/mpeg", b"\x00\x01\xff"),
        ({}, "application/json", b""),
        ({"data": None}, "application/json", b""),
    ],
)
def test_data_arrives_in_its_own_form(data: dict[str, Any], content_type: str, body: bytes) -> None:
    call = structured(EVENT | data)

    assert (call.headers["Content-Type"], call.body) == (content_type, body)


def test_attributes_are_encoded_so_that_no_header_can_be_forged() -> None:
    call = structured(EVENT | {"subject": 'ü "a" 100%\r\nX-Forged: 1', "count": 5, "flag": True})

    assert call.headers["Ce-Subject"] == "%C3%BC%20%22a%22%20100%25%0D%0AX-Forged:%201"
    assert (call.headers["Ce-Count"], call.headers["Ce-Flag"]) == ("5", "true")


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'"text"',
        {},
        {**EVENT, "specversion": "2"},
        {**EVENT, "specversion": ["1.0"]},
        {**EVENT, "specversion": None},
        {**EVENT, "id": ""},
        {**EVENT, "id": None},
        {**EVENT, "id": 5},
        {**EVENT, "type": ["t"]},
        {**EVENT, "source": ""},
        {**EVENT, "bad_name": "x"},
        {**EVENT, "list": ["x"]},
        {**EVENT, "data_base64": "!!"},
        {**EVENT, "data_base64": 5},
        {**EVENT, "datacontenttype": "text/plain\r\nX-Forged: 1"},
        {**EVENT, "datacontenttype": 5},
    ],
)
def test_what_is_no_cloudevent_is_refused(event: Any) -> None:
    with pytest.raises(conversion.InvalidEventError):
        structured(event)


def test_a_media_type_is_recognised_with_parameters_and_in_capitals() -> None:
    assert structured(EVENT, "Application/CloudEvents+JSON; charset=UTF-8").event_id == "1"


@pytest.mark.parametrize("content_type", ["nonsense", "a/b\r\nX: 1", "a /b", "/"])
def test_a_plain_message_with_an_unreadable_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(conversion.InvalidEventError):
        conversion.convert(BasicProperties(content_type=content_type), b"x", "video")


# -- what an answer means


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_an_answer_in_the_two_hundreds_is_final_and_accepted(status: int) -> None:
    function, pauses = Function(status), Pauses()

    assert delivery.deliver(function, 3, 1.0, pauses) == (status, 1)
    assert delivery.accepted(status)
    assert pauses.seconds == []


@pytest.mark.parametrize("status", [100, 301, 304, 307, 400, 401, 403, 405, 408, 409, 410, 415, 422, 500, 501, 505])
def test_any_other_answer_is_final_and_refused_at_once(status: int) -> None:
    function, pauses = Function(status), Pauses()

    assert delivery.deliver(function, 3, 1.0, pauses) == (status, 1)
    assert not delivery.accepted(status)
    assert pauses.seconds == []


@pytest.mark.parametrize("status", [404, 413, 425, 429, 502, 503, 504, delivery.NO_ANSWER])
def test_a_passing_trouble_is_tried_again_after_growing_pauses_and_then_refused(status: int) -> None:
    function, pauses = Function(status), Pauses()

    assert delivery.deliver(function, 3, 1.5, pauses) == (status, 4)
    assert not delivery.accepted(status)
    assert pauses.seconds == [1.5, 3.0, 4.5]


@pytest.mark.parametrize(("then", "accepted"), [(200, True), (500, False), (409, False)])
def test_a_final_answer_ends_the_retries(then: int, accepted: bool) -> None:
    function, pauses = Function(503, delivery.NO_ANSWER, then), Pauses()

    assert delivery.deliver(function, 3, 1.0, pauses) == (then, 3)
    assert delivery.accepted(then) is accepted


def test_without_retries_there_is_one_call() -> None:
    function = Function(503)

    assert delivery.deliver(function, 0, 1.0, Pauses()) == (503, 1)


def test_a_stop_during_a_pause_makes_no_further_call() -> None:
    function = Function(503)

    assert delivery.deliver(function, 3, 1.0, Pauses(stop_at=2)) == (503, 2)
    assert function.calls == 2


# -- settings

ENVIRONMENT = {
    "RABBITMQ_URL": "amqp://broker.example/",
    "QUEUE": "video",
    "SINK": "http://function.example/",
    "PARALLELISM": "4",
    "TIMEOUT_SECONDS": "600",
}


def test_retries_and_pauses_have_defaults() -> None:
    settings = consumer.Settings.read(ENVIRONMENT)

    assert (settings.parallelism, settings.timeout, settings.retries, settings.backoff) == (4, 600.0, 3, 1.0)


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        consumer.Settings.read({key: value for key, value in ENVIRONMENT.items() if key != name})
    with pytest.raises(KeyError, match=name):
        consumer.Settings.read(ENVIRONMENT | {name: ""})
