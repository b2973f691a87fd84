"""The tracked queue topology in a real RabbitMQ: nothing refused is lost, and what is sent nowhere is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import UnroutableError

from local.stack import Stack
from tests.broker import RETRY_DELAY_MS, Broker, private_broker, purge, ready, take, wait_for

DEFINITIONS = Path(__file__).parents[2] / "rabbitmq-source" / "definitions.json"
TRACKED = json.loads(DEFINITIONS.read_text(encoding="utf-8"))
PERSISTENT = pika.BasicProperties(delivery_mode=2, message_id="m-1", content_type="application/cloudevents+json")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with private_broker(tmp_path_factory.mktemp("queues")) as running:
        yield running


@pytest.fixture
def channel(backing: Stack) -> Iterator[BlockingChannel]:
    with pika.BlockingConnection(pika.URLParameters(backing.rabbitmq_url)) as connection:
        opened = connection.channel()
        opened.confirm_delivery()
        purge(opened)
        yield opened


def test_the_tracked_file_holds_no_user_and_no_secret() -> None:
    assert set(TRACKED) == {"vhosts", "exchanges", "queues", "bindings"}


@pytest.mark.parametrize("exchange", [exchange["name"] for exchange in TRACKED["exchanges"]])
def test_an_exchange_of_the_tracked_file_is_there(channel: BlockingChannel, exchange: str) -> None:
    channel.exchange_declare(exchange, exchange_type="direct", durable=True)


@pytest.mark.parametrize("queue", TRACKED["queues"], ids=lambda queue: queue["name"])
def test_a_queue_of_the_tracked_file_is_there_as_written(channel: BlockingChannel, queue: dict[str, Any]) -> None:
    scaled = {"x-message-ttl": RETRY_DELAY_MS} if "x-message-ttl" in queue["arguments"] else {}

    channel.queue_declare(queue["name"], durable=True, arguments=queue["arguments"] | scaled)


@pytest.mark.parametrize("name", ["video", "mp3"])
def test_a_rejected_message_comes_back_lap_after_lap_with_its_deaths_counted(
    channel: BlockingChannel, name: str
) -> None:
    channel.basic_publish(name, name, b"body", PERSISTENT, mandatory=True)

    for lap in range(3):
        method, properties, body = wait_for(lambda: take(channel, name), f"the message, lap {lap}")
        assert (body, properties.message_id, properties.delivery_mode) == (b"body", "m-1", 2)
        rejections = [d["count"] for d in (properties.headers or {}).get("x-death", []) if d["reason"] == "rejected"]
        assert rejections == ([lap] if lap else [])

        channel.basic_nack(method.delivery_tag, requeue=False)
        wait_for(lambda: ready(channel, f"{name}.retry"), "the delay queue's copy")
        assert ready(channel, name) == 0


def test_looking_through_the_delay_queue_and_giving_back_delays_nothing(channel: BlockingChannel) -> None:
    channel.basic_publish("video", "video", b"body", PERSISTENT, mandatory=True)
    method, _, _ = wait_for(lambda: take(channel, "video"), "the message")
    channel.basic_nack(method.delivery_tag, requeue=False)

    def looked_through_and_back() -> bool:
        if looked := take(channel, "video.retry"):
            channel.basic_nack(looked[0].delivery_tag, requeue=True)
        return ready(channel, "video") == 1

    wait_for(looked_through_and_back, "the message", seconds=10)


@pytest.mark.parametrize(
    ("exchange", "key"),
    [("video", "mp3"), ("mp3", "video"), ("video", "video.retry"), ("retry", "video.retry"), ("parked", "video")],
)
def test_a_wrong_key_is_returned(channel: BlockingChannel, exchange: str, key: str) -> None:
    with pytest.raises(UnroutableError):
        channel.basic_publish(exchange, key, b"body", PERSISTENT, mandatory=True)


def test_what_is_parked_stays(channel: BlockingChannel) -> None:
    channel.basic_publish("parked", "parked", b"body", PERSISTENT, mandatory=True)

    assert ready(channel, "parked") == 1


@pytest.mark.parametrize("name", ["video", "mp3", "parked"])
def test_however_often_whoever_holds_a_message_dies_it_is_there_again(backing: Stack, name: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(backing.rabbitmq_url)) as connection:
        purge(connection.channel())
        connection.channel().basic_publish(name, name, b"body", PERSISTENT)

        for _ in range(25):  # RabbitMQ 4 would drop or dead-letter it at the 21st
            holding = connection.channel()
            wait_for(lambda channel=holding: take(channel, name), "the message")
            holding.close()

        wait_for(lambda: ready(connection.channel(), name) == 1, "the message")


def test_a_source_may_hold_a_message_for_a_day(broker: Broker) -> None:
    answer = broker.ctl("eval", "application:get_env(rabbit, consumer_timeout).")

    assert answer.strip() == "{ok,86400000}"


def test_confirmed_messages_survive_a_killed_broker(broker: Broker) -> None:
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        purge(channel)
        for _ in range(50):
            channel.basic_publish("video", "video", b"body", PERSISTENT, mandatory=True)
        broker.kill()
        with pytest.raises(pika.exceptions.AMQPError):
            channel.queue_declare("video", passive=True)

    broker.start()

    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        wait_for(lambda: ready(connection.channel(), "video") == 50, "the queue's messages")
