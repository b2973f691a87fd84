"""Looks through the delay queues and parks messages that no function will ever be able to read.

A message that names a job is left alone however often it was rejected: the job record counts and ends it. One that
names none would come back each minute for ever; after REJECTIONS it goes to the queue `parked`, for a person.
"""

import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError

log = logging.getLogger(__name__)

RETRY_QUEUES = ("video.retry", "mp3.retry")
REJECTIONS = 10
MESSAGES = 500  # looked at in a round
HEARTBEAT_SECONDS = 10  # ends the connection to a broker that is frozen

# A broker that accepts and then says nothing raises the second, which pika does not count among the first.
UNREACHABLE: tuple[type[Exception], ...] = (AMQPError, AMQPConnectorException, OSError)


def park(url: str) -> int:
    """Parks what is hopeless, confirmed, and gives the rest back at once. Returns how many; raises UNREACHABLE."""
    with connected(url) as channel:
        channel.confirm_delivery()
        return sum(_look_through(channel, queue, MESSAGES // len(RETRY_QUEUES)) for queue in RETRY_QUEUES)


@contextmanager
def connected(url: str) -> Iterator[BlockingChannel]:
    """A channel to the broker, for a moment. Raises UNREACHABLE, within seconds."""
    parameters = pika.URLParameters(url)
    parameters.connection_attempts, parameters.heartbeat = 1, HEARTBEAT_SECONDS
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = 5
    connection = pika.BlockingConnection(parameters)
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()


def _look_through(channel: BlockingChannel, queue: str, most: int) -> int:
    parked, last = 0, None
    for _ in range(most):
        method, properties, body = channel.basic_get(queue)
        if method is None:
            break
        if rejections(properties.headers) < REJECTIONS or names_a_job(body):
            last = method.delivery_tag
            continue
        # Published before it is taken from where it was: killed in between, it is there twice and never lost.
        channel.basic_publish("parked", "parked", body, properties, mandatory=True)
        channel.basic_ack(method.delivery_tag)
        parked += 1
        log.warning("parked", extra={"queue": queue, "event": properties.message_id})
    if last is not None:
        channel.basic_nack(last, multiple=True, requeue=True)
    return parked


def rejections(headers: dict[str, Any] | None) -> int:
    """How often a message was rejected, by the count that the broker keeps in `x-death`."""
    deaths = (headers or {}).get("x-death") or []
    return sum(int(death.get("count", 0)) for death in deaths if death.get("reason") == "rejected")


def names_a_job(body: bytes) -> bool:
    """Whether a message is an event whose data holds the id of a job."""
    try:
        job_id = json.loads(body)["data"]["job_id"]
        return bool(str(uuid.UUID(job_id)) == job_id)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
