"""The end of a process: after SIGTERM it takes no new work, and what is in flight may go on for a while.

The launcher's worker tells `PROCESS`; under any other server it is never told, and nothing here has an effect.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from functions.common.web import Unavailable

RESERVE_SECONDS = 5.0  # for handing back, removing and answering, of which SIGKILL knows nothing
RESERVE_SHARE = 0.4  # of a grace period that is shorter than that


class ShuttingDown(Unavailable):
    """The process ends before this would be done; another one will do it. A 503."""

    def __init__(self) -> None:
        super().__init__("This instance is shutting down. Please try again.")


class Draining:
    """Whether the process has been told to end, and how long work may go on."""

    def __init__(self) -> None:
        self._told: SimpleQueue[None] = SimpleQueue()
        self._until = math.inf
        self._lock = threading.Lock()
        self._cuts: list[Callable[[], None]] = []
        self._ended = False

    @property
    def begun(self) -> bool:
        """Whether new work is to be refused."""
        return self._until < math.inf

    @property
    def left(self) -> float:
        """Seconds for which work may go on: infinite before the beginning, negative after the end."""
        return self._until - time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether what is still in flight has to break off now."""
        return self._ended

    def tell(self) -> None:
        """Says that SIGTERM came; a second one changes nothing. Safe in a signal handler: it takes no Python lock."""
        self._told.put(None)

    def attend(self, seconds: float) -> None:
        """Waits in a thread of its own to be told; the grace period is then so many `seconds`."""
        threading.Thread(target=self._attend, args=[seconds], name="draining", daemon=True).start()

    def begin(self, seconds: float) -> None:
        """The grace period of so many `seconds` begins; the last of them are kept for tidying up."""
        self._until = time.monotonic() + seconds - min(RESERVE_SECONDS, RESERVE_SHARE * seconds)

    def end(self) -> None:
        """Breaks off what can be broken off."""
        with self._lock:
            self._until, self._ended = min(self._until, time.monotonic()), True
            for cut in self._cuts:
                cut()

    @contextmanager
    def cutting(self, cut: Callable[[], None]) -> Iterator[None]:
        """Within, `cut` is called by another thread when time is over (at once when it is): it ends a wait."""
        with self._lock:
            self._cuts.append(cut)
            if self._ended:
                cut()
        try:
            yield
        finally:
            with self._lock:
                self._cuts.remove(cut)

    def _attend(self, seconds: float) -> None:
        self._told.get()
        self.begin(seconds)
        time.sleep(max(0.0, self.left))
        self.end()


PROCESS = Draining()
