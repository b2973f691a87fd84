"""The accounts at a real RabbitMQ: each can do its work, and the broker refuses it everything else."""

import uuid
from collections.abc import Callable, Iterator

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker

from functions.common import events
from functions.common.events import Event
from functions.common.parcel import PublishError
from functions.common.publisher import Publisher
from functions.janitor import survey
from tests.broker import QUEUES, Broker, private_broker, purge, ready, take, wait_for

LONG = 20.0
FORBIDDEN = 403
EXCHANGES = ("video", "mp3", "retry", "parked", "", "amq.direct", "amq.fanout", "amq.topic", "amq.headers")
WRITES = {"upload": {"video"}, "convert": {"mp3"}, "janitor": {"video", "mp3", "retry", "parked"}, "source": set()}
READS = {"upload": set(), "convert": set(), "janitor": {"video.retry", "mp3.retry"}, "source": {"video", "mp3"}}
ACCOUNTS = sorted(WRITES)
PUBLISHES = [("upload", "video"), ("convert", "mp3"), ("janitor", "video"), ("janitor", "mp3")]
Action = Callable[[BlockingChannel], object]
CHANGES: dict[str, Action] = {
    "declare a queue": lambda channel: channel.queue_declare("new", durable=True),
    "declare a queue of its own": lambda channel: channel.queue_declare("", exclusive=True),
    "declare an exchange": lambda channel: channel.exchange_declare("new", "fanout"),
    "bind a queue": lambda channel: channel.queue_bind("parked", "video", "video"),
    "bind its own queue": lambda channel: channel.queue_bind("video", "video", "other"),
    "unbind a queue": lambda channel: channel.queue_unbind("video", "video", "video"),
    "bind an exchange": lambda channel: channel.exchange_bind("parked", "video", "video"),
    "unbind an exchange": lambda channel: channel.exchange_unbind("parked", "video", "video"),
    **{f"delete queue {name}": lambda channel, name=name: channel.queue_delete(name) for name in QUEUES},
    **{
        f"delete exchange {name}": lambda channel, name=name: channel.exchange_delete(name)
        for name in EXCHANGES
        if name and not name.startswith("amq.")
    },
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with private_broker(tmp_path_factory.mktemp("rights")) as running:
        yield running


@pytest.fixture
def channel(broker: Broker) -> Iterator[BlockingChannel]:
    """An administrator's, with all queues empty."""
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        opened = connection.channel()
        opened.confirm_delivery()
        purge(opened)
        yield opened


def allowed(broker: Broker, account: str, actions: dict[str, Action]) -> set[str]:
    """Which of the actions the broker lets the account do."""
    done = set()
    with pika.BlockingConnection(pika.URLParameters(broker.urls[account])) as connection:
        for name, action in actions.items():
            channel = connection.channel()
            channel.confirm_delivery()
            try:
                action(channel)
                done.add(name)
            except ChannelClosedByBroker as error:
                if error.reply_code != FORBIDDEN:
                    raise
    return done


def event() -> Event:
    return events.announcement(str(uuid.uuid4()), "queued")


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_publishes_to_its_exchanges_and_to_no_other(broker: Broker, account: str) -> None:
    publishing: dict[str, Action] = {
        name: lambda channel, name=name: channel.basic_publish(name, "nowhere", b"") for name in EXCHANGES
    }

    assert allowed(broker, account, publishing) == WRITES[account]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_takes_from_its_queues_and_from_no_other(
    broker: Broker, channel: BlockingChannel, account: str
) -> None:
    taking: dict[str, Action] = {name: lambda channel, name=name: channel.basic_get(name) for name in QUEUES}
    consuming: dict[str, Action] = {
        name: lambda channel, name=name: channel.basic_consume(name, lambda *_: None) for name in QUEUES
    }
    emptying: dict[str, Action] = {name: lambda channel, name=name: channel.queue_purge(name) for name in QUEUES}

    assert allowed(broker, account, taking) == READS[account]
    assert allowed(broker, account, consuming) == READS[account]
    assert allowed(broker, account, emptying) == READS[account]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_no_account_changes_the_topology(broker: Broker, account: str) -> None:
    assert allowed(broker, account, CHANGES) == set()


@pytest.mark.parametrize(("account", "queue"), PUBLISHES)
def test_a_publishers_account_suffices_for_the_publisher(
    broker: Broker, channel: BlockingChannel, account: str, queue: str
) -> None:
    publisher = Publisher(broker.urls[account])

    publisher.publish(queue, event(), LONG)

    assert ready(channel, queue) == 1
    publisher.close(LONG)


def test_a_refused_publish_is_told_and_harms_no_later_one(broker: Broker, channel: BlockingChannel) -> None:
    publisher = Publisher(broker.urls["upload"])

    with pytest.raises(PublishError, match="ACCESS_REFUSED"):
        publisher.publish("mp3", event(), LONG)

    publisher.publish("video", event(), LONG)
    assert (ready(channel, "mp3"), ready(channel, "video")) == (0, 1)
    publisher.close(LONG)


@pytest.mark.parametrize("name", ["video", "mp3"])
def test_the_janitor_parks_from_a_delay_queue_and_gives_the_rest_back(
    broker: Broker, channel: BlockingChannel, name: str
) -> None:
    for body in (b"parked", b"kept"):
        channel.basic_publish("retry", name, body, mandatory=True)
    with pika.BlockingConnection(pika.URLParameters(broker.urls["janitor"])) as connection:
        working = connection.channel()
        working.confirm_delivery()
        first, _, body = wait_for(lambda: take(working, f"{name}.retry"), "the first message")
        second = wait_for(lambda: take(working, f"{name}.retry"), "the second message")[0]
        working.basic_publish("parked", "parked", body, mandatory=True)
        working.basic_ack(first.delivery_tag)
        working.basic_nack(second.delivery_tag, requeue=True)

    parked = wait_for(lambda: take(channel, "parked"), "what was parked")
    assert parked[2] == b"parked"
    back = wait_for(lambda: take(channel, name), "what was given back, when its delay is over")
    assert back[2] == b"kept"


def test_the_janitor_counts_all_queues(broker: Broker, channel: BlockingChannel) -> None:
    channel.basic_publish("parked", "parked", b"x")

    assert survey.queues(broker.urls["janitor"]) == dict.fromkeys(QUEUES, 0) | {"parked": 1}


def test_a_source_looks_at_its_queue_passively(broker: Broker) -> None:
    looking: dict[str, Action] = {
        name: lambda channel, name=name: channel.queue_declare(name, passive=True) for name in ("video", "mp3")
    }

    assert allowed(broker, "source", looking) == {"video", "mp3"}


@pytest.mark.parametrize("credentials", ["guest:guest", "upload:", "upload:wrong"])
def test_nobody_else_is_let_in(broker: Broker, credentials: str) -> None:
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(f"amqp://{credentials}@127.0.0.1:{broker.port}/%2F"))
