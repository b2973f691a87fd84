"""Consumes one queue over one connection: prefetched messages wait for a free caller, outcomes are settled in order.

pika's connection belongs to the main thread; the callers hand their outcomes back to it.
"""

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pika
from conversion import Call, InvalidEventError, convert
from delivery import NO_ANSWER, accepted, deliver, post
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, ConnectionWrongStateError

log = logging.getLogger("source")

PREFETCH = 100  # fixed in the adapter, whatever the parallelism
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Settings:
    """What the environment says; times in seconds."""

    url: str
    queue: str
    sink: str
    parallelism: int
    timeout: float
    retries: int = 3
    backoff: float = 1.0

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises KeyError for what is missing or empty, ValueError for what is no number."""
        given = {name: value for name, value in environ.items() if value}
        return cls(
            given["RABBITMQ_URL"],
            given["QUEUE"],
            given["SINK"],
            int(given["PARALLELISM"]),
            float(given["TIMEOUT_SECONDS"]),
            int(given.get("RETRIES", "3")),
            float(given.get("BACKOFF_SECONDS", "1")),
        )


class Consumer:
    """One connection's worth of consuming. All but `_work` runs on the main thread, as pika demands."""

    def __init__(
        self,
        connection: pika.BlockingConnection,
        pool: ThreadPoolExecutor,
        settings: Settings,
        stopping: threading.Event,
    ) -> None:
        self._connection = connection
        self._pool = pool
        self._settings = settings
        self._stopping = stopping
        self._held: dict[int, Call] = {}

    def run(self) -> None:
        """Consumes until told to stop; then rejects all that it holds. Raises AMQPError when the connection is lost."""
        while not self._stopping.is_set():
            channel = self._connection.channel()
            try:
                channel.queue_declare(self._settings.queue, passive=True)
                self._consume(channel)
            except ChannelClosedByBroker as error:
                self._log(logging.WARNING, "queue not there", reason=error.reply_text)
                self._connection.sleep(1)
        self._connection.close()

    def _consume(self, channel: BlockingChannel) -> None:
        self._held = {}
        channel.basic_qos(prefetch_count=PREFETCH)
        tag = channel.basic_consume(self._settings.queue, self._on_message)
        self._log(logging.INFO, "consuming")
        while not self._stopping.is_set() and channel.is_open and channel.consumer_tags:
            self._connection.process_data_events(time_limit=POLL_SECONDS)
        if not channel.is_open:
            return
        if self._stopping.is_set():
            self._reject_all(channel, tag)
        channel.close()

    def _reject_all(self, channel: BlockingChannel, tag: str) -> None:
        self._connection.process_data_events(time_limit=0)  # what has been answered by now is settled by its answer
        channel.basic_cancel(tag)  # or the broker would fill the prefetch up again
        channel.basic_nack(0, multiple=True, requeue=False)
        for call in self._held.values():
            self._log(logging.INFO, "rejected, as the source ends", event=call.event_id, job=call.job)

    def _on_message(self, channel: BlockingChannel, method: Any, properties: pika.BasicProperties, body: bytes) -> None:
        try:
            call = convert(properties, body, self._settings.queue)
        except InvalidEventError as error:
            self._log(logging.ERROR, "rejected unseen", event=properties.message_id, reason=str(error))
            channel.basic_nack(method.delivery_tag, requeue=False)
            return
        self._held[method.delivery_tag] = call
        self._pool.submit(self._work, channel, method.delivery_tag, call)

    def _work(self, channel: BlockingChannel, tag: int, call: Call) -> None:
        if self._stopping.is_set() or not channel.is_open:  # rejected, or on its way to the next connection
            return
        began = time.monotonic()
        settings = self._settings
        calling = partial(post, call, settings.sink, settings.timeout)
        try:
            status, attempts = deliver(calling, settings.retries, settings.backoff, self._stopping.wait)
        except Exception:  # whatever it was, the message must not stay unsettled
            log.exception("the call broke")
            status, attempts = NO_ANSWER, 1
        outcome = {"status": status, "attempts": attempts, "seconds": round(time.monotonic() - began, 3)}
        try:
            self._connection.add_callback_threadsafe(partial(self._settle, channel, tag, call, outcome))
        except ConnectionWrongStateError:
            self._log(logging.WARNING, "not settled, comes again", event=call.event_id, job=call.job, **outcome)

    def _settle(self, channel: BlockingChannel, tag: int, call: Call, outcome: dict[str, Any]) -> None:
        about = {"event": call.event_id, "job": call.job, **outcome}
        if not channel.is_open:
            self._log(logging.WARNING, "not settled, comes again", **about)
            return
        self._held.pop(tag, None)
        if accepted(outcome["status"]):
            channel.basic_ack(tag)
            self._log(logging.INFO, "delivered", **about)
        else:
            channel.basic_nack(tag, requeue=False)
            self._log(logging.WARNING, "rejected", **about)

    def _log(self, level: int, message: str, **values: Any) -> None:
        log.log(level, message, extra={"values": {"queue": self._settings.queue, **values}})
