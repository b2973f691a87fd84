"""What a running stack leaves in its home for others to find: a lock held for its life, and who its processes are.

A process is known by its id and the time it started, as ids are used again.
"""

import fcntl
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from local.passwords import write_private

Identity = tuple[int, int]
LEFTOVER_SECONDS = 10.0


class AlreadyRunningError(Exception):
    """Another process runs the stack of this home."""


def lock(home: Path) -> IO[str]:
    """Takes the home's lock; it is free again when the file is closed or the process ends, however it ends."""
    file = (home / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise AlreadyRunningError(f"a stack is running in {home}") from None
    return file


def running(home: Path) -> bool:
    """Whether a process holds the home's lock."""
    if not (home / "lock").exists():
        return False
    try:
        lock(home).close()
    except AlreadyRunningError:
        return True
    return False


def read(home: Path) -> dict[str, Any]:
    """What the stack last wrote; empty when there is none."""
    with suppress(FileNotFoundError):
        state: dict[str, Any] = json.loads((home / "state.json").read_text())
        return state
    return {}


def write(home: Path, state: dict[str, Any]) -> None:
    """Replaces what the stack wrote. It holds addresses with passwords."""
    write_private(home / "state.json", json.dumps(state, indent=2))


def clear(home: Path) -> None:
    """Nothing runs any more."""
    (home / "state.json").unlink(missing_ok=True)


def identity(pid: int) -> Identity:
    """The process of this id, with the clock ticks after boot at which it started; 0 when there is none."""
    with suppress(FileNotFoundError, ProcessLookupError):
        # The program's name, in brackets, may hold anything; what follows it is numbers.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] != "Z":
            return pid, int(fields[19])
    return pid, 0


def alive(who: Identity) -> bool:
    """Whether this very process is still there."""
    return who[1] != 0 and identity(who[0]) == tuple(who)


def end(who: Identity, seconds: float) -> None:
    """Ends a process that is no child of ours: asks, waits, kills."""
    for number, limit in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        until = time.monotonic() + limit
        if alive(who):
            with suppress(ProcessLookupError):
                os.kill(who[0], number)
        while alive(who) and time.monotonic() < until:
            time.sleep(0.05)


def end_leftovers(home: Path) -> None:
    """Ends the processes of a stack that could not do so itself. Call it only with the home's lock in hand."""
    for child in read(home).get("children", []):
        end((child["pid"], child["ticks"]), LEFTOVER_SECONDS)
    clear(home)
