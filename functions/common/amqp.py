"""The publisher's side of AMQP: one pika connection at a time in a loop that never waits, and what is under way on it.

pika's blocking connection would hang its thread for as long as a frozen broker likes; here every wait is a timer, and
an overdue connection is left to close itself (its heartbeat ends it) while the next message goes over a fresh one.
Everything but `Line.post` runs on the loop's own thread.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pika
from pika.adapters.select_connection import IOLoop, SelectConnection
from pika.channel import Channel
from pika.exceptions import AMQPError

from functions.common.events import CONTENT_TYPE
from functions.common.killpoints import UNCONFIRMED, reach
from functions.common.parcel import Parcel

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
OPERATION_SECONDS = 5.0
BLOCKED_SECONDS = 5.0
HEARTBEAT_SECONDS = 15
TRIES = 2  # a connection may turn out to be dead only when it is used; the second try is over a fresh one
PATIENCE_SECONDS = 1.0  # however little time a caller has, a confirm this late doesn't condemn the connection


def _text(error: BaseException) -> str:
    return f"{type(error).__name__} {error}"[:200].strip()


class Link:
    """One connection: opening, ready, then lost or dropped; never used again after that."""

    def __init__(self, parameters: pika.URLParameters, loop: IOLoop, line: "Line") -> None:
        self._loop = loop
        self._line = line
        self._channel: Channel | None = None
        self._last_tag = 0
        self._sent: dict[int, tuple[Parcel, object]] = {}
        self.ready = False
        self.connection = SelectConnection(
            parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_lost,
            on_close_callback=self._on_lost,
            custom_ioloop=loop,
        )
        self._opening: object = None

    def send(self, parcel: Parcel) -> None:
        """Publishes `parcel`; the line hears of it again only when the link is lost first."""
        parcel.tries += 1
        properties = pika.BasicProperties(
            message_id=parcel.event.id,
            content_type=CONTENT_TYPE,
            timestamp=int(parcel.event.time.timestamp()),
            delivery_mode=pika.DeliveryMode.Persistent.value,
        )
        self._last_tag += 1
        limit = min(OPERATION_SECONDS, max(parcel.within, PATIENCE_SECONDS))
        timer = self._loop.call_later(limit, partial(self.drop, f"no confirm in {limit:.1f} s"))
        self._sent[self._last_tag] = parcel, timer
        assert self._channel is not None
        try:
            self._channel.basic_publish(parcel.queue, parcel.queue, parcel.body, properties, mandatory=True)
        except AMQPError as error:
            self.drop(_text(error))

    def drop(self, reason: str) -> None:
        """Gives the connection up without waiting for the broker's agreement."""
        self._lose(reason)
        self.close()

    def close(self) -> None:
        """Has the connection closed in the broker's good time."""
        # One that is still opening ends by its own limit; closing it now trips an assertion of pika 1.4 in the loop.
        if self.connection.is_open:
            self.connection.close()

    def _on_open(self, connection: SelectConnection) -> None:
        self._opening = self._loop.call_later(CONNECT_SECONDS, partial(self.drop, f"no channel in {CONNECT_SECONDS} s"))
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_channel_lost)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=self._on_ready)

    def _on_ready(self, _frame: Any) -> None:
        self.ready = True
        self._calm()
        self._line.flush()

    def _on_return(self, _channel: Channel, method: Any, properties: Any, _body: bytes) -> None:
        # The broker returns a message before it confirms it, and names it by nothing but what we wrote on it.
        for parcel, _ in self._sent.values():
            if (parcel.event.id, parcel.queue) == (properties.message_id, method.exchange):
                parcel.returned = True

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        first = min(self._sent, default=method.delivery_tag) if method.multiple else method.delivery_tag
        for tag in range(first, method.delivery_tag + 1):
            if (entry := self._sent.pop(tag, None)) is None:
                continue
            parcel, timer = entry
            reach(UNCONFIRMED.get(parcel.queue, ""))
            self._loop.remove_timeout(timer)
            if parcel.returned:
                parcel.failed("no queue is bound there")
            elif isinstance(method, pika.spec.Basic.Nack):
                parcel.failed("the broker refused it")
            else:
                parcel.arrived()

    def _on_channel_lost(self, _channel: Channel, error: BaseException) -> None:
        if not self.connection.is_closing:  # else it is we who close it
            self.drop(_text(error))

    def _on_lost(self, _connection: SelectConnection, error: BaseException) -> None:
        self._lose(_text(error))
        self._line.ended(self)

    def _calm(self) -> None:
        if self._opening is not None:
            self._loop.remove_timeout(self._opening)

    def _lose(self, reason: str) -> None:
        self._calm()
        sent, self._sent = self._sent, {}
        for _, timer in sent.values():
            self._loop.remove_timeout(timer)
        self._line.lost(self, [parcel for parcel, _ in sent.values()], reason)


class Line:
    """Carries parcels over the link of the moment."""

    def __init__(self, parameters: pika.URLParameters) -> None:
        self._parameters = parameters
        self._loop = IOLoop()
        self._link: Link | None = None
        self._links: set[Link] = set()  # with those that were given up and have yet to end
        self._waiting: list[Parcel] = []
        self._stopping = False

    def post(self, callback: Callable[[], None]) -> None:
        """Has `callback` called on the line's thread, soon. May be called from any thread."""
        self._loop.add_callback_threadsafe(callback)

    def submit(self, parcel: Parcel) -> None:
        """Sends `parcel`, connecting first where there is no connection."""
        self._waiting.append(parcel)
        self.flush()

    def flush(self) -> None:
        """Sends what waits, if the link is ready; makes one if there is none."""
        if self._link is None:
            self._link = Link(self._parameters, self._loop, self)
            self._links.add(self._link)
        while self._waiting and self._link is not None and self._link.ready:
            parcel = self._waiting.pop(0)
            if not parcel.done.done():  # else its caller has stopped waiting
                self._link.send(parcel)

    def lost(self, link: Link, sent: list[Parcel], reason: str) -> None:
        """`link` is no more. What was sent over it and not confirmed is sent once more over the next."""
        if link is not self._link:
            return
        self._link = None
        waiting, self._waiting = self._waiting, []
        for parcel in [*sent, *waiting]:
            if link.ready and parcel.tries < TRIES:
                self._waiting.append(parcel)
            else:
                parcel.failed(reason)
        if self._waiting:
            self.flush()

    def ended(self, link: Link) -> None:
        """The connection of `link` is closed."""
        self._links.discard(link)
        if self._stopping and not self._links:
            self._loop.stop()

    def stop(self) -> None:
        """Closes the connection; the loop ends when the last one is closed."""
        self._stopping = True
        if self._link is not None:
            self._link.close()
        elif not self._links:
            self._loop.stop()

    def run(self) -> None:
        """The loop itself; returns after `stop`."""
        try:
            self._loop.start()
        except Exception:
            log.exception("the publisher's loop broke")  # who waits runs out of time; the next publish starts anew
        finally:
            self._loop.close()


def open_line(url: str) -> Line:
    """A line to the broker at `url`, not yet connected."""
    parameters = pika.URLParameters(url)
    parameters.connection_attempts = 1
    parameters.socket_timeout = CONNECT_SECONDS
    parameters.stack_timeout = CONNECT_SECONDS
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    parameters.heartbeat = HEARTBEAT_SECONDS
    return Line(parameters)
