"""Fetches the chunks that the child is going to ask for while it still works on the last ones."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType

Fetch = Callable[[Sequence[int]], list[bytes]]
"""`fetch(numbers)`: those chunks of the source; the numbers rise."""

BATCH_CHUNKS = 8  # at once at most, and as many again are held: 4 MiB of the usual chunks
_WAIT_SECONDS = 0.2


class OverError(Exception):
    """The conversion ended while a chunk was waited for."""


class ReadAhead:
    """Chunks of a source of `total` chunks, one at a time; `fetch` runs in a thread of its own.

    What is fetched ahead is what the reader says that it will ask for. Where it says nothing, it is the chunks that
    follow, but not until two were asked for in sequence: a reader that picks the sound out of a video skips most of it.
    The first chunk is fetched at once: whoever reads begins with it, and has to start first.
    """

    def __init__(self, fetch: Fetch, total: int) -> None:
        self._fetch, self._total = fetch, total
        self._thread = ThreadPoolExecutor(1, "read ahead")
        self._ready: dict[int, bytes] = {}
        self._coming: Future[list[bytes]] | None = None
        self._numbers: Sequence[int] = ()
        self._last, self._in_sequence = -2, 0
        self.bytes = 0  # fetched so far

    def __enter__(self) -> "ReadAhead":
        self._ask([0])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def chunk(self, number: int, is_over: Callable[[], bool], following: Sequence[int] = ()) -> bytes:
        """Chunk `number`; `following` are those that will be asked for next, as far as that is known.

        Raises what `fetch` raises, and OverError once `is_over` says so.
        """
        self._in_sequence = self._in_sequence + 1 if number == self._last + 1 else 0
        self._last = number
        if number not in self._ready:
            if self._coming is None or number not in self._numbers:
                self._ask([number] if following else self._sequence(number))
            self._ready = self._collected(is_over)
        chunk = self._ready.pop(number)
        if self._coming is None:
            expected = [one for one in following if one not in self._ready and one != number]
            if not following and self._in_sequence:
                expected = list(self._sequence(number + 1 + len(self._ready)))
            if expected:
                self._ask(expected[:BATCH_CHUNKS])
        return chunk

    def _sequence(self, first: int) -> range:
        return range(first, min(self._total, first + min(BATCH_CHUNKS, self._in_sequence + 1)))

    def _ask(self, numbers: Sequence[int]) -> None:
        if self._coming is not None:
            self._coming.cancel()
        self._numbers = sorted(set(numbers))
        # The log's fields and the time budget of this thread hold for the fetch as well.
        self._coming = self._thread.submit(copy_context().run, self._fetch, self._numbers)

    def _collected(self, is_over: Callable[[], bool]) -> dict[int, bytes]:
        assert self._coming is not None
        future, self._coming = self._coming, None
        while not future.done():
            if is_over():
                raise OverError
            _wait(future)
        chunks = future.result()
        self.bytes += sum(map(len, chunks))
        return dict(zip(self._numbers, chunks, strict=True))


def _wait(future: "Future[list[bytes]]") -> None:
    try:
        future.exception(_WAIT_SECONDS)
    except TimeoutError:
        return
