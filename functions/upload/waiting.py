"""How long one upload may wait for MongoDB, so that its answer comes in time."""

import time
from contextlib import AbstractContextManager
from types import TracebackType

from functions.common.mongo import budget

WAIT_SECONDS = 8.75  # of the 10 s in which an answer has to come: enough for four operations of 2 s


class Waiting:
    """`with waiting:` bounds all operations of the block by what is `left`, and takes from it what they took."""

    def __init__(self) -> None:
        self.left = WAIT_SECONDS

    def renew(self, since: float) -> None:
        """Everything is left again, but for what went by `since` that time (monotonic)."""
        self.left = WAIT_SECONDS - (time.monotonic() - since)

    def __enter__(self) -> None:
        self._began = time.monotonic()
        self._budget: AbstractContextManager[None] = budget(self.left)
        self._budget.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.__exit__(kind, error, trace)
        self.left -= time.monotonic() - self._began
