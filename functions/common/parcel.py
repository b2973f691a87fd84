"""A message between the thread that publishes it and the loop that carries it."""

import contextlib
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from functions.common.events import Event


class PublishError(Exception):
    """The broker did not confirm the message. It may hold it all the same, so publish it again under the same id."""


@dataclass(eq=False)
class Parcel:
    """One message on its way: `tries` counts its sendings, `done` is what the caller waits on."""

    queue: str
    event: Event
    body: bytes
    within: float
    tries: int = 0
    returned: bool = False
    done: Future[None] = field(default_factory=Future)

    def arrived(self) -> None:
        """The broker has confirmed it."""
        with contextlib.suppress(InvalidStateError):  # the caller has just stopped waiting
            self.done.set_result(None)

    def failed(self, reason: str) -> None:
        """It is given up."""
        with contextlib.suppress(InvalidStateError):
            self.done.set_exception(PublishError(f"event {self.event.id} for {self.queue}: {reason}"))
