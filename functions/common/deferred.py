"""What a function needs but its start should not wait for: built once the server listens, or by who needs it first.

Importing the database driver and the cryptography takes as long as half a start (docs/decisions/0008).
"""

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
_all: "list[Deferred[Any]]" = []


class Deferred(Generic[T]):
    """`value()` is what `build` returns; it is called once, by one thread, and again only if it failed."""

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: list[T] = []
        _all.append(self)

    def __call__(self) -> T:
        with self._lock:
            if not self._built:
                self._built.append(self._build())
            return self._built[0]


def build_all() -> None:
    """Builds what this process has deferred; what fails is logged and tried again by the first request."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 10)  # a first request meanwhile should not wait for each of its turns
    for deferred in _all:
        try:
            deferred()
        except Exception:
            log.exception("not built yet")
    sys.setswitchinterval(usual)
