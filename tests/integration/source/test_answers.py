"""What the source does with a message, by what the function answers."""

import json
import signal
from datetime import datetime
from itertools import pairwise

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from functions.common import events
from tests.broker import QUEUES, RETRY_DELAY_MS, ready, wait_for
from tests.sink import DIES, HANG, RESET, Sink
from tests.sourcing import Source, Start, deaths, send


def test_a_message_that_is_taken_is_acknowledged_and_reaches_the_function_whole(
    start: Start, channel: BlockingChannel, sink: Sink
) -> None:
    source = start().consuming()

    event_id = send(channel)

    line = wait_for(lambda: source.lines("delivered"), "the delivery")[0]
    seen = sink.seen[0]
    assert (seen.headers["Ce-Id"], seen.headers["Ce-Type"]) == (event_id, "video.uploaded.v1")
    assert json.loads(seen.body) == {"job_id": event_id.partition(".")[0]}
    assert (line["event"], line["job"]) == (event_id, event_id.partition(".")[0])
    assert (line["status"], line["attempts"], line["queue"]) == (200, 1, "video")
    assert source.end(signal.SIGTERM) == 0
    assert (ready(channel, "video"), ready(channel, "video.retry")) == (0, 0)


@pytest.mark.parametrize("status", [400, 409, 422, 500])
def test_a_refusal_goes_to_the_delay_queue_at_once_and_comes_back(
    start: Start, channel: BlockingChannel, sink: Sink, status: int
) -> None:
    source = start().consuming()
    sink.answers.default_factory = lambda: [status]

    event_id = send(channel)

    line = wait_for(lambda: source.lines("rejected"), "the rejection")[0]
    assert (line["event"], line["status"], line["attempts"]) == (event_id, status, 1)
    wait_for(lambda: source.lines("delivered"), "the second delivery")
    assert sink.calls(event_id) == 2


@pytest.mark.parametrize("trouble", [404, 503, RESET])
def test_a_passing_trouble_is_retried_in_place(
    start: Start, channel: BlockingChannel, sink: Sink, trouble: int
) -> None:
    source = start().consuming()
    sink.answers.default_factory = lambda: [trouble, trouble]

    event_id = send(channel)

    line = wait_for(lambda: source.lines("delivered"), "the delivery")[0]
    assert (line["status"], line["attempts"]) == (200, 3)
    assert sink.calls(event_id) == 3
    assert not source.lines("rejected")


@pytest.mark.parametrize(("trouble", "status"), [(503, 503), (RESET, 0)])
def test_a_lasting_trouble_ends_in_the_delay_queue(
    start: Start, channel: BlockingChannel, sink: Sink, trouble: int, status: int
) -> None:
    source = start().consuming()
    sink.answers.default_factory = lambda: [trouble] * 4

    event_id = send(channel)

    line = wait_for(lambda: source.lines("rejected"), "the rejection")[0]
    assert (line["status"], line["attempts"]) == (status, 4)
    assert sink.calls(event_id) == 4
    assert deaths(channel) == ["rejected"]


def test_a_function_that_is_not_there_ends_in_the_delay_queue(start: Start, channel: BlockingChannel) -> None:
    source = start(SINK="http://127.0.0.1:1/").consuming()

    send(channel)

    assert wait_for(lambda: source.lines("rejected"), "the rejection")[0]["attempts"] == 4
    assert deaths(channel) == ["rejected"]


def test_a_call_that_takes_too_long_is_cut_and_made_again(start: Start, channel: BlockingChannel, sink: Sink) -> None:
    source = start(TIMEOUT_SECONDS="0.5", RETRIES="1").consuming()
    sink.answers.default_factory = lambda: [HANG, HANG]

    event_id = send(channel)

    line = wait_for(lambda: source.lines("rejected"), "the rejection")[0]
    assert (line["status"], line["attempts"]) == (504, 2)
    wait_for(lambda: sink.cut == [event_id] * 2, "the function to see its caller leave")


TROUBLES = [400, 409, 500, 503, HANG, RESET, DIES]
IMPATIENT = {"PARALLELISM": "8", "TIMEOUT_SECONDS": "0.5", "RETRIES": "1"}


def times(source: Source, event_id: str) -> list[datetime]:
    """When the event was rejected."""
    return [datetime.fromisoformat(line["time"]) for line in source.lines("rejected") if line["event"] == event_id]


def test_whatever_a_function_does_each_message_is_acknowledged_once(
    start: Start, channel: BlockingChannel, sink: Sink
) -> None:
    sent = {send(channel): trouble for trouble in TROUBLES for _ in range(3)}
    sink.answers.update({event_id: [trouble] * 2 for event_id, trouble in sent.items()})

    source = start(**IMPATIENT).consuming()

    wait_for(lambda: len(source.lines("delivered")) == len(sent), "all deliveries", 60)
    assert sorted(line["event"] for line in source.lines("delivered")) == sorted(sent)
    for event_id, trouble in sent.items():
        assert len(times(source, event_id)) == (2 if trouble in (400, 409, 500) else 1)
    assert source.end(signal.SIGTERM) == 0
    assert [ready(channel, queue) for queue in QUEUES] == [0] * len(QUEUES)


def test_a_function_that_never_recovers_loses_no_message_and_is_called_no_more_often_than_the_delay_allows(
    start: Start, channel: BlockingChannel, sink: Sink
) -> None:
    sent = {send(channel): trouble for trouble in TROUBLES}
    sink.answers.update({event_id: [trouble] * 1000 for event_id, trouble in sent.items()})
    source = start(**IMPATIENT).consuming()
    wait_for(lambda: all(len(times(source, event_id)) >= 2 for event_id in sent), "two laps of each", 60)

    assert source.end(signal.SIGTERM) == 0

    assert not source.lines("delivered")
    wait_for(lambda: ready(channel, "video") + ready(channel, "video.retry") == len(sent), "all to be back")
    for event_id in sent:
        laps = times(source, event_id)
        assert all((later - earlier).total_seconds() > RETRY_DELAY_MS / 1000 - 0.1 for earlier, later in pairwise(laps))


def test_what_is_no_event_is_rejected_without_a_call(start: Start, channel: BlockingChannel, sink: Sink) -> None:
    source = start().consuming()

    channel.basic_publish(
        "video", "video", b"{}", pika.BasicProperties(content_type=events.CONTENT_TYPE, message_id="m")
    )

    assert wait_for(lambda: source.lines("rejected unseen"), "the rejection")[0]["event"] == "m"
    assert deaths(channel) == ["rejected"]
    assert sink.seen == []


def test_a_plain_message_is_delivered_as_the_adapter_would(start: Start, channel: BlockingChannel, sink: Sink) -> None:
    source = start().consuming()

    channel.basic_publish("video", "video", b"\x00plain")

    wait_for(lambda: source.lines("delivered"), "the delivery")
    assert (sink.seen[0].headers["Ce-Type"], sink.seen[0].body) == ("dev.knative.rabbitmq.event", b"\x00plain")


def test_no_more_calls_are_under_way_than_the_function_takes(
    start: Start, channel: BlockingChannel, sink: Sink
) -> None:
    sink.answers.default_factory = lambda: [HANG]
    source = start(PARALLELISM="3").consuming()
    for _ in range(12):
        send(channel)

    wait_for(lambda: len(sink.seen) == 3 and ready(channel, "video") == 0, "the source to hold all twelve")
    sink.release()

    wait_for(lambda: len(source.lines("delivered")) == 12, "all deliveries")
    assert sink.most == 3


def test_a_hundred_messages_are_held_and_no_more(start: Start, channel: BlockingChannel, sink: Sink) -> None:
    sink.answers.default_factory = lambda: [HANG]
    for _ in range(103):
        send(channel)

    source = start().consuming()

    wait_for(lambda: ready(channel, "video") == 3, "the prefetch to be full")
    assert source.end(signal.SIGTERM) == 0
    assert len(source.lines("rejected, as the source ends")) == 100
