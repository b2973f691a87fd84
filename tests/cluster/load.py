"""Requests without a pause, by several threads, while a test does something to the system; and what came back."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests

PAUSE_SECONDS = 0.2
UNFRIENDLY = "503 without Retry-After"


class Answers:
    """How often each answer came: a status, or the name of what happened instead of one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, answer: str) -> None:
        with self._lock:
            self._counts[answer] += 1

    def of(self) -> dict[str, int]:
        """All of them so far."""
        with self._lock:
            return dict(self._counts)

    def good(self) -> int:
        """How many were 2xx."""
        return sum(number for answer, number in self.of().items() if answer.startswith("2"))


@contextmanager
def under(calls: list[Callable[[], requests.Response]]) -> Iterator[Answers]:
    """Within, each of `calls` is made again and again, by a thread of its own. Ends when all have had their answer."""
    answers, leaving = Answers(), threading.Event()

    def repeat(call: Callable[[], requests.Response]) -> None:
        while not leaving.wait(PAUSE_SECONDS):
            try:
                answers.count(word(call()))
            except requests.RequestException as error:
                answers.count(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=repeat, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        leaving.set()
        for thread in threads:
            thread.join()


def word(answer: requests.Response) -> str:
    """What an answer is counted as."""
    if answer.status_code == 503 and "Retry-After" not in answer.headers:
        return UNFRIENDLY
    return str(answer.status_code)
