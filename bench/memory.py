"""How much memory a process and its children take, read from /proc."""

import threading
from pathlib import Path
from types import TracebackType

MIB = 1 << 20


def tree(pid: int) -> list[int]:
    """The process and all that it started, directly or not."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in _read(children).split()]
    return found


class Watermark:
    """The most that processes which live throughout took at once, to the page: the kernel keeps count.

    `growth` is in MiB above what they held at the start.
    """

    def __init__(self, pids: list[int]) -> None:
        self._idle = {pid: _kib(pid, "VmRSS") for pid in pids}
        for pid in pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # resets VmHWM, see proc(5)

    def growth(self) -> float:
        """What was added at the highest point so far."""
        return sum(_kib(pid, "VmHWM") - idle for pid, idle in self._idle.items()) / 1024


class Peak:
    """`with Peak(pid) as peak`: the most that the tree of `pid` takes, by sampling, as its children come and go.

    Proportional set size, so that pages which a child shares with its parent count once.
    """

    SECONDS = 0.05

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._idle = pss(pid)
        self._highest = self._idle
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def growth(self) -> float:
        """MiB above what the tree took at the start."""
        return (self._highest - self._idle) / 1024

    def _sample(self) -> None:
        while not self._ended.wait(self.SECONDS):
            self._highest = max(self._highest, pss(self._pid))


def pss(pid: int) -> int:
    """KiB of the tree of `pid`."""
    total = 0
    for member in tree(pid):
        for line in _read(Path(f"/proc/{member}/smaps_rollup")).splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def _kib(pid: int, name: str) -> int:
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:  # ended meanwhile
        return ""
