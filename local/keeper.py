"""The thread that starts the children and starts them again when they die.

It is their parent in the kernel's eyes: a child's parent-death signal comes when the *thread* that started it ends. So
it lives as long as they do, and nobody else starts any.
"""

import threading
import time
from collections.abc import Callable, Sequence

from local.process import Child

TICK_SECONDS = 0.1


class Keeper(threading.Thread):
    """Tends `children` until stopped; calls `changed` when a process came or went."""

    def __init__(self, children: Sequence[Child], changed: Callable[[], None]) -> None:
        super().__init__(name="keeper", daemon=True)
        self._children = {child.name: child for child in children}
        self._changed = changed
        self._leaving = threading.Event()
        self._done = threading.Event()

    def run(self) -> None:
        """The thread itself."""
        seen: list[tuple[int, bool]] = []
        while not self._done.wait(TICK_SECONDS):
            for child in self._children.values():
                if not self._leaving.is_set():
                    child.tend(all(self._ready(name) for name in child.program.after))
            state = [(child.pid, child.ready.is_set()) for child in self._children.values()]
            if state != seen and not self._leaving.is_set():
                seen = state
                self._changed()

    def stop(self) -> list[str]:
        """Ends all children, those of a higher stage first. Names the ones that had to be killed."""
        self._leaving.set()
        killed: list[str] = []
        for stage in sorted({child.program.stage for child in self._children.values()}, reverse=True):
            killed += _end([child for child in self._children.values() if child.program.stage == stage])
        self._done.set()
        if self.is_alive():
            self.join()
        return killed

    def _ready(self, name: str) -> bool:
        # A name that is not among ours is a service that somebody else runs.
        return name not in self._children or self._children[name].ready.is_set()


def _end(children: Sequence[Child]) -> list[str]:
    for child in children:
        child.terminate()
    now = time.monotonic()
    return [child.name for child in children if not child.wait(now + child.program.stop_seconds)]
