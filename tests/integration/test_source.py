"""The source program between a real RabbitMQ and a function that answers as it is told."""

import contextlib
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from functions.common import events
from tests.broker import QUEUES, RETRY_DELAY_MS, Broker, private_broker, purge, ready, take, wait_for
from tests.sink import DIES, HANG, RESET, Sink

PROGRAM = Path(__file__).parents[2] / "rabbitmq-source" / "source.py"

Start = Callable[..., "Source"]


class Source:
    """The program running; its log lines can be read."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM)], env=environment, stdout=out, stderr=subprocess.STDOUT
            )

    def lines(self, message: str) -> list[dict[str, Any]]:
        """The log lines that say `message`."""
        whole = [
            line for line in self._log.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
        ]
        return [line for line in map(json.loads, whole) if line["message"] == message]

    def consuming(self, times: int = 1) -> "Source":
        """Waits until it has begun to consume, so often."""
        wait_for(lambda: len(self.lines("consuming")) >= times, "the source to consume")
        return self

    def end(self, how: signal.Signals) -> int:
        """Sends the signal; the exit code."""
        self.process.send_signal(how)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with private_broker(tmp_path_factory.mktemp("source")) as running:
        yield running


@pytest.fixture
def channel(broker: Broker) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    opened = connection.channel()
    opened.confirm_delivery()
    purge(opened)
    yield opened
    with contextlib.suppress(AMQPError):  # a test may have killed the broker
        connection.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@pytest.fixture
def start(broker: Broker, sink: Sink, channel: BlockingChannel, tmp_path: Path) -> Iterator[Start]:
    started: list[Source] = []

    def begin(**changes: str) -> Source:
        environment = {
            "RABBITMQ_URL": broker.urls["source"],
            "QUEUE": "video",
            "SINK": sink.url,
            "PARALLELISM": "2",
            "TIMEOUT_SECONDS": "30",
            "BACKOFF_SECONDS": "0.05",
        }
        started.append(Source(environment | changes, tmp_path / f"{len(started)}.log"))
        return started[-1]

    yield begin
    for source in started:
        source.process.kill()
        source.process.wait()


def send(channel: BlockingChannel, queue: str = "video") -> str:
    """Publishes an event of a new job; the event's id."""
    event = events.announcement(str(uuid.uuid4()), "queued")
    properties = pika.BasicProperties(message_id=event.id, content_type=events.CONTENT_TYPE, delivery_mode=2)
    channel.basic_publish(queue if queue in ("video", "mp3") else "", queue, event.body(), properties, mandatory=True)
    return event.id


def deaths(channel: BlockingChannel, queue: str = "video.retry") -> list[str]:
    """Why the next message of the delay queue is there."""
    _, properties, _ = wait_for(lambda: take(channel, queue), f"a message in {queue}")
    return [death["reason"] for death in properties.headers["x-death"]]


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


def test_sigterm_cuts_the_calls_and_rejects_all_that_is_held(
    start: Start, channel: BlockingChannel, sink: Sink
) -> None:
    sink.answers.default_factory = lambda: [HANG]
    source = start(PARALLELISM="2").consuming()
    sent = {send(channel) for _ in range(6)}
    wait_for(lambda: len(sink.seen) == 2 and ready(channel, "video") == 0, "two calls and four prefetched")

    assert source.end(signal.SIGTERM) == 0

    assert {line["event"] for line in source.lines("rejected, as the source ends")} == sent
    assert [deaths(channel) for _ in sent] == [["rejected"]] * 6
    wait_for(lambda: len(sink.cut) == 2, "the function to see its callers leave")
    assert len(sink.seen) == 2


def test_sigterm_during_a_pause_between_retries_makes_no_further_call(
    start: Start, channel: BlockingChannel, sink: Sink
) -> None:
    sink.answers.default_factory = lambda: [503] * 4
    source = start(BACKOFF_SECONDS="60").consuming()
    event_id = send(channel)
    wait_for(lambda: sink.calls(event_id), "the first call")

    assert source.end(signal.SIGTERM) == 0

    assert deaths(channel) == ["rejected"]
    assert sink.calls(event_id) == 1


def test_sigterm_ends_an_idle_source_and_one_without_a_broker(start: Start) -> None:
    waiting = start(RABBITMQ_URL="amqp://nobody:nothing@127.0.0.1:1/")
    wait_for(lambda: waiting.lines("no broker"), "its first try")

    assert waiting.end(signal.SIGTERM) == 0
    assert start().consuming().end(signal.SIGTERM) == 0


def test_sigterm_ends_a_source_whose_broker_is_frozen(start: Start, broker: Broker) -> None:
    source = start().consuming()

    broker.freeze()
    try:
        assert source.end(signal.SIGTERM) == 0
    finally:
        broker.thaw()
    assert not source.lines("connection lost")  # it did not wait for the heartbeat to tell


def test_a_source_that_finds_its_broker_frozen_consumes_once_it_is_thawed(start: Start, broker: Broker) -> None:
    broker.freeze()
    try:
        source = start()
        wait_for(lambda: source.lines("no broker"), "its first try")
    finally:
        broker.thaw()

    source.consuming()


def test_after_sigkill_the_held_messages_come_again_under_the_same_id(
    start: Start, channel: BlockingChannel, sink: Sink
) -> None:
    sink.answers.default_factory = lambda: [HANG]
    source = start(PARALLELISM="2").consuming()
    sent = [send(channel) for _ in range(4)]
    wait_for(lambda: len(sink.seen) == 2 and ready(channel, "video") == 0, "two calls and two prefetched")

    source.end(signal.SIGKILL)
    wait_for(lambda: ready(channel, "video") == 4, "the messages to be back")
    assert ready(channel, "video.retry") == 0
    sink.release()
    again = start().consuming()

    wait_for(lambda: len(again.lines("delivered")) == 4, "all deliveries")
    assert sorted(line["event"] for line in again.lines("delivered")) == sorted(sent)


def test_the_source_waits_for_its_queue(start: Start, broker: Broker, channel: BlockingChannel) -> None:
    source = start(QUEUE="late", RABBITMQ_URL=broker.url)
    wait_for(lambda: source.lines("queue not there"), "the source to miss its queue")

    channel.queue_declare("late", durable=True, arguments={"x-queue-type": "quorum"})
    event_id = send(channel, "late")

    assert wait_for(lambda: source.lines("delivered"), "the delivery")[0]["event"] == event_id
    channel.queue_delete("late")
    wait_for(lambda: len(source.lines("queue not there")) > 1, "the source to miss its queue again")


def test_a_dropped_connection_is_made_anew_and_its_messages_come_again(
    start: Start, broker: Broker, channel: BlockingChannel, sink: Sink
) -> None:
    sink.answers.default_factory = lambda: [HANG]
    source = start(PARALLELISM="1").consuming()
    sent = [send(channel) for _ in range(2)]
    wait_for(lambda: len(sink.seen) == 1 and ready(channel, "video") == 0, "one call and one prefetched")

    broker.drop("source")
    source.consuming(times=2)
    sink.release()

    wait_for(lambda: len(source.lines("delivered")) == 2, "both deliveries")
    assert sorted(line["event"] for line in source.lines("delivered")) == sorted(sent)
    assert source.lines("not settled, comes again")[0]["event"] == sent[0]
    assert sink.most == 1
    assert len(sink.seen) == 3


def test_a_missing_setting_is_named_and_ends_the_program(start: Start) -> None:
    source = start(SINK="")

    assert source.process.wait(30) == 1


def test_without_a_broker_it_gives_up_for_its_supervisor_to_start_it_again(
    start: Start, broker: Broker, channel: BlockingChannel
) -> None:
    source = start().consuming()

    broker.kill()
    try:
        assert source.process.wait(60) == 1
    finally:
        broker.start()
    assert len(source.lines("no broker")) == 6
