"""The janitor and the delay queues of a real broker: only what is hopeless is parked, the rest comes back."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from functions.janitor import parking

QUEUES = ("video", "mp3", "video.retry", "mp3.retry", "parked")


@pytest.fixture
def channel(backing: Any) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(backing.rabbitmq_url))
    channel = connection.channel()
    for queue in QUEUES:
        channel.queue_purge(queue)
    yield channel
    for queue in QUEUES:
        channel.queue_purge(queue)
    connection.close()


def reject(channel: BlockingChannel, queue: str, times: int) -> None:
    """Takes the one message of `queue` and rejects it so often, as a source does; it is then in the delay queue."""
    for _ in range(times):
        deadline = time.monotonic() + 30
        while (message := channel.basic_get(queue))[0] is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert message[0] is not None
        channel.basic_nack(message[0].delivery_tag, requeue=False)


def waiting(channel: BlockingChannel, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.message_count)


def until_waiting(channel: BlockingChannel, queue: str) -> None:
    deadline = time.monotonic() + 10
    while not waiting(channel, queue) and time.monotonic() < deadline:
        time.sleep(0.05)


def test_what_names_no_job_is_parked_once_it_was_rejected_often_enough(
    backing: Any, channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "REJECTIONS", 2)  # ten laps of the delay queue would take half a minute
    channel.basic_publish("video", "video", b"nonsense", pika.BasicProperties(message_id="m-1", delivery_mode=2))
    reject(channel, "video", 1)
    until_waiting(channel, "video.retry")
    assert parking.park(backing.rabbitmq_url) == 0

    reject(channel, "video", 1)
    until_waiting(channel, "video.retry")

    assert parking.park(backing.rabbitmq_url) == 1
    _, properties, body = channel.basic_get("parked", auto_ack=True)
    assert (properties.message_id, body) == ("m-1", b"nonsense")
    assert waiting(channel, "video.retry") == 0


def test_what_names_a_job_is_left_to_its_job_and_comes_back(
    backing: Any, channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "REJECTIONS", 1)
    event = json.dumps({"data": {"job_id": str(uuid.uuid4())}}).encode()
    channel.basic_publish("mp3", "mp3", event, pika.BasicProperties(delivery_mode=2))
    reject(channel, "mp3", 1)
    until_waiting(channel, "mp3.retry")

    assert [parking.park(backing.rabbitmq_url) for _ in range(3)] == [0, 0, 0]
    reject(channel, "mp3", 1)
    assert waiting(channel, "parked") == 0


def test_a_broker_that_accepts_and_says_nothing_is_away_and_no_surprise(backing: Any) -> None:
    with backing.frozen("rabbitmq"), pytest.raises(parking.UNREACHABLE):
        parking.park(backing.rabbitmq_url)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"data": {"job_id": "5f0c7f0e-8f0b-4a53-9c5e-0f1d5c1c2b11"}}', True),
        (b'{"data": {"job_id": "5F0C7F0E-8F0B-4A53-9C5E-0F1D5C1C2B11"}}', False),
        (b'{"data": {"job_id": 7}}', False),
        (b'{"data": []}', False),
        (b"[]", False),
        (b"\xff", False),
        (b"", False),
    ],
)
def test_a_message_names_a_job_only_as_we_write_it(body: bytes, names: bool) -> None:
    assert parking.names_a_job(body) == names


def test_rejections_are_what_the_broker_counted() -> None:
    deaths = [
        {"reason": "rejected", "count": 7},
        {"reason": "expired", "count": 90},
        {"reason": "rejected", "count": 4},
    ]

    assert parking.rejections({"x-death": deaths}) == 11
    assert parking.rejections(None) == parking.rejections({}) == 0
