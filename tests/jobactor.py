"""Programs that work on one database a database operation at a time, in an order that somebody else decides.

Each actor is a thread, but only one ever runs: it stops before every operation and waits to be told how that one goes.
So what a machine found happens again the same way.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pymongo.errors import AutoReconnect

from functions.common.jobrecord import Run
from functions.common.mongo import AWAY

if TYPE_CHECKING:
    from tests.jobworld import World

OPERATIONS = ("find", "find_one", "find_one_and_update", "insert_one", "insert_many")
OPERATIONS += ("update_one", "delete_one", "delete_many")


class Crash(BaseException):
    """The actor's process is gone; nothing in it may catch this to any effect."""


class Actor:
    """One program; `fault` says how its next operation goes: "", "away", "silent" (done, no answer), "crash"."""

    def __init__(self, world: "World", kind: str, work: Callable[["Actor"], None]) -> None:
        self.world, self.kind, self.fault = world, kind, ""
        self.crashed = self.faulted = self.finished = False
        self.error: BaseException | None = None
        self.run: Run | None = None
        self.sent_at: int | None = None
        self.recorded_at: int | None = None
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._live, args=(work,), daemon=True)
        self._thread.start()
        self._stopped.acquire()

    def _live(self, work: Callable[["Actor"], None]) -> None:
        self.world.of_thread.actor = self
        try:
            self.point(lambda: None)
            work(self)
        except Crash:
            self.crashed = True
        except AWAY:
            self.faulted = True
        except BaseException as error:
            self.error = error
        self.finished = True
        self._stopped.release()

    def point(self, do: Callable[[], Any], away: type[Exception] = AutoReconnect) -> Any:
        """Waits for its turn, then does what the fault leaves of `do`."""
        if not self.crashed:
            self._stopped.release()
            self._go.acquire()
        if self.fault == "crash" or self.crashed:
            self.crashed = True
            raise Crash
        if self.fault == "away" or self.world.down:
            self.faulted = True
            raise away("away")
        result = do()
        if self.fault == "silent":
            self.faulted = True
            raise away("no answer")
        return result

    def end(self) -> None:
        """Its process is killed, wherever it is."""
        while not self.finished:
            self.fault = "crash"
            self._go.release()
            self._stopped.acquire(timeout=30)
        self._thread.join()

    def step(self, fault: str = "") -> None:
        """One operation, and on to just before the next one."""
        self.fault = fault
        self.world.operations += 1
        self._go.release()
        assert self._stopped.acquire(timeout=30), "an actor does not come back"
        if self.finished:
            self._thread.join()
        if self.error:
            raise self.error


class Wired:
    """A collection whose operations are the steps of whoever asks."""

    def __init__(self, world: "World", name: str) -> None:
        self._world, self._collection = world, world.mongo.database[name]

    def __getattr__(self, name: str) -> Any:
        assert name in OPERATIONS, name

        def operate(*args: Any, **options: Any) -> Any:
            operation = getattr(self._collection, name)
            if name == "find":
                return self._world.actor.point(lambda: iter(list(operation(*args, **options))))
            return self._world.actor.point(lambda: operation(*args, **options))

        return operate
