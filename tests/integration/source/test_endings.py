"""The source when it is ended, when its connection is lost, and when something that it needs is not there."""

import signal

from pika.adapters.blocking_connection import BlockingChannel

from tests.broker import Broker, ready, wait_for
from tests.sink import HANG, Sink
from tests.sourcing import Start, deaths, send


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
    assert source.text().splitlines() == ["source: a setting is missing or unreadable: 'SINK'"]


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
