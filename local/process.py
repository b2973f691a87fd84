"""One child process: ends when we end, logs to its own file, is asked whether it is ready, is ended within a bound.

A child leads a session of its own, so that a Ctrl-C reaches us alone and signals reach its whole process group.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
STEADY_SECONDS = 10.0  # who has lived so long is started again without a longer pause
CHECK_SECONDS = 0.1


@dataclass(frozen=True)
class Program:
    """What to run and what it needs.

    `after` names the children that must be ready first; a higher `stage` is ended earlier. A program runs for good,
    until it succeeds `once`, or `every` so many seconds.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], bool] | None = None
    port: int = 0
    after: Sequence[str] = ()
    stage: int = 0
    once: bool = False
    every: float = 0.0
    stop_seconds: float = 10.0


class Child:
    """A program, and its process of the moment. `tend` belongs to the keeper's thread, the rest to anybody."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self.ready = threading.Event()
        self.restarts = 0
        self.since = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._started = 0.0
        self._due = time.monotonic() + program.every
        self._pause = FIRST_PAUSE_SECONDS
        self._held = False
        self._finished = False

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too; 0 while there is no process."""
        process = self._process
        return process.pid if process else 0

    @property
    def held(self) -> bool:
        """Whether it stays dead once it is."""
        return self._held

    def tend(self, startable: bool) -> None:
        """Notices its death, and starts it where that is due."""
        with self._lock:
            if self._process and _exited(self._process.pid):
                self._bury(self._process)
            wanted = not (self._process or self._held or self._finished)
            if wanted and startable and time.monotonic() >= self._due:
                self._spawn()

    def hold(self) -> None:
        """From now on it is not started again when it dies."""
        with self._lock:
            self._held = True

    def release(self) -> None:
        """It is started again, at once if it is dead."""
        with self._lock:
            self._held = False
            self._due = 0.0

    def signal(self, number: int) -> None:
        """Sends a signal to its whole group."""
        with self._lock:
            if self._process:
                os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Ends its whole group at once and sees it dead."""
        with self._lock:
            if self._process:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._bury(self._process)

    def freeze(self) -> None:
        """Stops its whole group in its tracks: its ports accept, and nothing answers."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        self.signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Asks it to end, for good."""
        with self._lock:
            self._held = True
            if self._process:
                os.kill(self._process.pid, signal.SIGTERM)
                os.kill(self._process.pid, signal.SIGCONT)

    def wait(self, until: float) -> bool:
        """Waits for its end till `until` on the monotonic clock, then kills it. Whether it ended by itself."""
        while self._process and not _exited(self._process.pid) and time.monotonic() < until:
            time.sleep(0.02)
        with self._lock:
            by_itself = self._process is None or _exited(self._process.pid)
            self.kill()
            return by_itself

    def tail(self, lines: int = 12) -> str:
        """The end of its log."""
        with suppress(FileNotFoundError), self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_000))
            return b"\n".join(file.read().splitlines()[-lines:]).decode("utf-8", "replace")
        return ""

    def _spawn(self) -> None:
        self._started, self.since = time.monotonic(), time.time()
        try:
            self._process = self._popen()
        except OSError as error:  # no memory, no space: to be tried again, as a death is
            print(f"{self.name} cannot be started: {error}", file=sys.stderr)
            self._put_off()
        else:
            if not self.program.once:
                threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def _popen(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *self.program.command],
                env=dict(self.program.environment),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        # In a thread of its own, as a check may wait for an answer.
        while self._process is process:
            if self.program.ready is None or self.program.ready():
                with self._lock:
                    if self._process is process:
                        self.ready.set()
                return
            time.sleep(CHECK_SECONDS)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        # The group first: its id is ours for as long as its leader has not been waited for.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        self._process = None
        if self.program.once and code == 0:
            self._finished = True
            self.ready.set()
        elif self.program.every:
            self._due = self._started + self.program.every
        else:
            self.ready.clear()
            self._put_off()

    def _put_off(self) -> None:
        now = time.monotonic()
        steady = now - self._started > STEADY_SECONDS
        self._pause = FIRST_PAUSE_SECONDS if steady else min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self._due = now + self._pause
        self.restarts += 1


def _exited(pid: int) -> bool:
    # Without waiting for it: that would give its process id away while others may still send to it.
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
