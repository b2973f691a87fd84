"""The publisher against a real RabbitMQ that refuses, freezes, dies, forgets, and comes back."""

import json
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pika
import pytest

from functions.common import amqp, events
from functions.common.events import Event
from functions.common.parcel import PublishError
from functions.common.publisher import Publisher
from tests.broker import Broker, private_broker, purge, ready, take, wait_for
from tests.proxy import Proxy

LONG = 20.0  # far more than any publish needs; what is to fail must fail by itself

CHILD = """
import sys
from functions.common import amqp, events
from functions.common.publisher import Publisher
amqp.HEARTBEAT_SECONDS = 1
publisher = Publisher(sys.argv[1])
for line in sys.stdin:
    publisher.publish("video", events.announcement(line.strip(), "queued"), 10)
    print("confirmed", flush=True)
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with private_broker(tmp_path_factory.mktemp("publisher")) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(broker: Broker) -> None:
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        purge(connection.channel())


@pytest.fixture
def publisher(broker: Broker) -> Iterator[Publisher]:
    made = Publisher(broker.url)
    yield made
    made.close(LONG)


def event() -> Event:
    return events.announcement(str(uuid.uuid4()), "queued")


def arrived(broker: Broker) -> list[str]:
    """The event ids in queue `video`, which is emptied."""
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        ids = []
        while found := take(channel, "video"):
            channel.basic_ack(found[0].delivery_tag)
            ids.append(json.loads(found[2])["id"])
        return ids


def connections(broker: Broker) -> list[str]:
    return broker.ctl("list_connections", "pid").split()[1:]


def test_the_message_is_persistent_and_named_and_dated(broker: Broker, publisher: Publisher) -> None:
    sent = event()

    publisher.publish("video", sent, LONG)

    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        _, properties, body = take(connection.channel(), "video")
    assert body == sent.body()
    assert (properties.message_id, properties.delivery_mode) == (sent.id, 2)
    assert properties.content_type == "application/cloudevents+json"
    assert properties.timestamp == int(sent.time.timestamp())


def test_sixteen_threads_share_one_connection(broker: Broker, publisher: Publisher) -> None:
    sent = [event() for _ in range(16 * 25)]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda one: publisher.publish("video", one, LONG), sent))

    assert len(connections(broker)) == 1
    assert sorted(arrived(broker)) == sorted(one.id for one in sent)


def test_a_missing_exchange_is_told_and_harms_no_later_publish(broker: Broker, publisher: Publisher) -> None:
    with pytest.raises(PublishError, match="no exchange 'nowhere'"):
        publisher.publish("nowhere", event(), LONG)

    publisher.publish("video", event(), LONG)


def test_a_missing_queue_is_told(broker: Broker, publisher: Publisher) -> None:
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        connection.channel().exchange_declare("lonely", "direct")

    with pytest.raises(PublishError, match="no queue"):
        publisher.publish("lonely", event(), LONG)
    publisher.publish("video", event(), LONG)


def test_a_message_that_a_full_queue_refuses_is_told(broker: Broker, publisher: Publisher) -> None:
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.exchange_declare("full", "direct")
        channel.queue_declare("full", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        channel.queue_bind("full", "full", "full")
    publisher.publish("full", event(), LONG)

    with pytest.raises(PublishError, match="refused"):
        publisher.publish("full", event(), LONG)


def test_no_broker_is_told_at_once_and_forgiven_when_it_is_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    publisher = Publisher(f"amqp://nobody:nothing@127.0.0.1:{port}/")

    for _ in range(2):
        with pytest.raises(PublishError, match="AMQPConnectionError"):
            publisher.publish("video", event(), LONG)
    publisher.close(LONG)


def test_a_wrong_password_is_told(broker: Broker) -> None:
    publisher = Publisher(broker.url.replace("://", "://no"))

    with pytest.raises(PublishError, match="AuthenticationError"):
        publisher.publish("video", event(), LONG)
    publisher.close(LONG)


def test_a_frozen_broker_costs_no_more_than_the_time_given(broker: Broker, publisher: Publisher) -> None:
    publisher.publish("video", event(), LONG)

    broker.freeze()
    try:
        for _ in range(2):
            with pytest.raises(PublishError):
                publisher.publish("video", event(), 0.3)
        with pytest.raises(PublishError):  # by now over a connection that never opens: it ends by itself
            publisher.publish("video", event(), LONG)
    finally:
        broker.thaw()

    publisher.publish("video", event(), LONG)


def test_a_broker_that_freezes_in_the_middle_is_given_up_by_itself(broker: Broker, publisher: Publisher) -> None:
    publisher.publish("video", event(), LONG)

    broker.freeze()
    try:
        with pytest.raises(PublishError):
            publisher.publish("video", event(), LONG)
    finally:
        broker.thaw()


def test_a_memory_alarm_is_told_and_over_when_it_is_over(broker: Broker, publisher: Publisher) -> None:
    publisher.publish("video", event(), LONG)

    broker.ctl("set_vm_memory_high_watermark", "absolute", "1")
    try:
        with pytest.raises(PublishError):
            publisher.publish("video", event(), 1.0)
        with pytest.raises(PublishError):
            publisher.publish("video", event(), LONG)
    finally:
        broker.ctl("set_vm_memory_high_watermark", "absolute", "512MiB")

    publisher.publish("video", event(), LONG)


def test_an_idle_connection_is_kept_alive(
    broker: Broker, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp, "HEARTBEAT_SECONDS", 1)
    publisher.publish("video", event(), LONG)
    before = connections(broker)

    threading.Event().wait(4)

    publisher.publish("video", event(), LONG)
    assert connections(broker) == before


def test_a_connection_that_the_broker_dropped_costs_no_publish(broker: Broker, publisher: Publisher) -> None:
    publisher.publish("video", event(), LONG)
    broker.ctl("close_all_connections", "test")

    publisher.publish("video", event(), LONG)

    assert len(arrived(broker)) == 2


def test_a_restarted_broker_costs_no_publish(broker: Broker, publisher: Publisher) -> None:
    publisher.publish("video", event(), LONG)

    broker.kill()
    with pytest.raises(PublishError):
        publisher.publish("video", event(), LONG)
    broker.start()

    publisher.publish("video", event(), LONG)
    assert len(arrived(broker)) == 2


def test_a_process_that_slept_past_its_heartbeats_publishes_at_the_first_try(broker: Broker) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, broker.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(f"{uuid.uuid4()}\n")
        child.stdin.flush()
        assert child.stdout.readline() == "confirmed\n"

        child.send_signal(signal.SIGSTOP)
        wait_for(lambda: not connections(broker), "the broker's end of the connection")
        child.send_signal(signal.SIGCONT)

        child.stdin.write(f"{uuid.uuid4()}\n")
        child.stdin.close()
        assert child.stdout.readline() == "confirmed\n"
        assert child.wait() == 0


def test_a_connection_that_went_silent_is_replaced_within_the_same_publish(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp, "OPERATION_SECONDS", 1.0)
    with Proxy(broker.port) as proxy:
        publisher = Publisher(broker.url.replace(str(broker.port), str(proxy.port)))
        publisher.publish("video", event(), LONG)
        arrived(broker)
        proxy.swallow()

        sent = event()
        publisher.publish("video", sent, LONG)

        assert arrived(broker) == [sent.id]
        proxy.cut()
        publisher.close(LONG)


def test_a_connection_lost_before_the_confirm_is_made_up_for_under_the_same_id(broker: Broker) -> None:
    with Proxy(broker.port) as proxy:
        publisher = Publisher(broker.url.replace(str(broker.port), str(proxy.port)))
        publisher.publish("video", event(), LONG)
        arrived(broker)
        proxy.swallow_answers()

        sent = event()
        with ThreadPoolExecutor(1) as pool:
            publishing = pool.submit(publisher.publish, "video", sent, LONG)
            with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
                channel = connection.channel()
                wait_for(lambda: ready(channel, "video") == 1, "the unconfirmed message")
            proxy.cut()
            publishing.result()

        assert arrived(broker) == [sent.id, sent.id]
        publisher.close(LONG)


def test_the_first_publish_after_close_connects_anew(broker: Broker, publisher: Publisher) -> None:
    publisher.publish("video", event(), LONG)
    publisher.close(LONG)

    assert "publisher" not in [thread.name for thread in threading.enumerate()]
    publisher.publish("video", event(), LONG)


def test_making_a_publisher_connects_nowhere_and_loads_no_pika() -> None:
    probe = (
        "import sys, threading; from functions.common.publisher import Publisher; Publisher('amqp://nowhere.invalid/');"
        "assert 'pika' not in sys.modules; assert threading.active_count() == 1"
    )

    subprocess.run([sys.executable, "-c", probe], check=True)


@pytest.mark.parametrize("url", ["", "localhost", "http://broker/", "amqp:///vhost"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="amqp://"):
        Publisher(url)
