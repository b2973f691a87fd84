"""A broker, a function that answers as it is told, and the source program between them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from tests.broker import Broker, private_broker, purge
from tests.sink import Sink
from tests.sourcing import Source, Start


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
