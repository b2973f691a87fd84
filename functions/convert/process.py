"""The child as a process: without environment, in a session of its own, and gone for certain when the block is left."""

import logging
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from functions.convert.errors import MediaError, Stopped
from functions.convert.wire import Channel

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.2  # between two looks at the deadline and at `stopped`
STDERR_BYTES = 4096  # of what the child says, the last so many go to the log
# Importing is nearly all of a child's start, and makes no garbage worth looking for, then or later.
_START = "import gc; gc.disable(); import functions.convert.worker as worker; gc.freeze(); gc.enable(); worker.run()"
# What the module site would find in a tenth of that start.
_PACKAGES = os.pathsep.join([str(Path(__file__).resolve().parents[2]), sysconfig.get_path("platlib")])


class Child:
    """`with Child() as child:` starts it; `channel` speaks with it. Leaving kills its whole group and reaps it."""

    def __init__(self) -> None:
        self._end, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-s", "-S", "-c", _START, str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                env={"PYTHONPATH": _PACKAGES, "LANG": "C.UTF-8"},
                cwd="/",
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self.channel = Channel(self._end)
        self.pid = self._process.pid
        assert self._process.stderr is not None
        self._said = bytearray()
        self._listener = threading.Thread(target=self._listen, args=[self._process.stderr], daemon=True)
        self._listener.start()

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        status = self._process.wait()
        self._end.close()
        self._listener.join(timeout=1)
        if self._said:
            said = self._said.decode(errors="replace")
            log.warning("the converting child complained", extra={"stderr": said, "status": status})

    def kill(self) -> None:
        """Ends it and all that it started, and wakes whoever waits for it to speak. Only inside the block."""
        # Not reaped before the block is left: the number cannot have gone to another process.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def _listen(self, stderr: IO[bytes]) -> None:
        with stderr:
            while said := os.read(stderr.fileno(), STDERR_BYTES):
                self._said += said
                del self._said[:-STDERR_BYTES]


class Flag(Protocol):
    """What says whether to stop: a threading.Event, for one."""

    def is_set(self) -> bool: ...


class Watch:
    """`with Watch(child, deadline, stopped) as watch:` kills the child when time is up or `stopped` says so.

    `reason` says then why, as the exception to raise.
    """

    def __init__(self, child: Child, deadline: float, stopped: Flag) -> None:
        self.reason: Exception | None = None
        self._child, self._deadline, self._stopped = child, deadline, stopped
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch of the child", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def is_over(self) -> bool:
        """Whether it has struck."""
        return self.reason is not None

    def _watch(self) -> None:
        while not self._ended.wait(WATCH_SECONDS):
            if self._stopped.is_set():
                self.reason = Stopped()
            elif time.monotonic() >= self._deadline:
                self.reason = MediaError("time_limit")
            else:
                continue
            self._child.kill()
            return
