"""Confirmed publishing: `publish` returns when the broker has taken the message over, or raises within its time.

One connection a process, made at the first publish (so after gunicorn's fork) and owned by one daemon thread that keeps
pika's loop running: heartbeats are answered however long nobody publishes, and no wait of the caller depends on what
the broker does. pika is imported at that moment too: a function that starts need not wait for it.
"""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from functions.common.events import Event
from functions.common.parcel import Parcel, PublishError


class Line(Protocol):
    """The running side; all but `post` is called on its own thread."""

    def post(self, callback: Callable[[], None]) -> None:
        """Has `callback` called on the line's thread, soon. May be called from any thread."""

    def submit(self, parcel: Parcel) -> None:
        """Sends `parcel`, connecting first where there is no connection."""

    def stop(self) -> None:
        """Closes the connection, then ends the loop."""

    def run(self) -> None:
        """The loop itself; returns after `stop`."""


class Publisher:
    """Publishes events to the broker at `url` (amqp or amqps). Any number of threads may use it at once."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme not in ("amqp", "amqps") or not address.hostname:
            raise ValueError("the broker's address is not of the form amqp://user:password@host:port/vhost")
        self._url = url
        self._lock = threading.Lock()
        self._line: Line | None = None
        self._thread: threading.Thread | None = None

    def publish(self, queue: str, event: Event, within: float) -> None:
        """Hands `event` to the exchange `queue` with the routing key `queue`, persistent and mandatory.

        Raises PublishError when no confirm came within so many seconds, or as soon as none can come any more.
        """
        parcel = Parcel(queue, event, event.body(), within)
        line = self._running()
        line.post(partial(line.submit, parcel))
        try:
            parcel.done.result(within)
        except (TimeoutError, CancelledError):
            parcel.done.cancel()
            raise PublishError(f"event {event.id} for {queue}: no confirm within {within:.1f} s") from None

    def close(self, within: float = 1.0) -> None:
        """Closes the connection and ends the thread; for programs that end. The next publish would start anew."""
        with self._lock:
            line, thread, self._line = self._line, self._thread, None
        if line and thread:
            line.post(line.stop)
            thread.join(within)

    def _running(self) -> Line:
        with self._lock:
            if self._line is None or self._thread is None or not self._thread.is_alive():
                from functions.common.amqp import open_line

                self._line = open_line(self._url)
                self._thread = threading.Thread(target=self._line.run, name="publisher", daemon=True)
                self._thread.start()
            return self._line
