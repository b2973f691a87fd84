"""The stack: all programs of one home as children of this process. `with Stack(home) as stack: ...`"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from local import mongo, ports, state
from local.keeper import Keeper
from local.plan import Plan
from local.process import ROOT, Child, Program

START_SECONDS = 120.0
BACK_SECONDS = 150.0  # a broker without data took 100 on a busy machine
DEATHS = 5  # so many of one child while starting, and it is not going to come up
LOG_BYTES = 10_000_000


class StartError(Exception):
    """The stack did not come up; the message says what did not, with the end of its log."""


class Stack:
    """The whole system, or with `backing_only` its four servers alone.

    `port` is the gateway's (0: any). `overrides` are settings for all programs; a backing service whose URL is among
    them is not started.
    """

    def __init__(
        self, home: Path, *, port: int = 0, overrides: Mapping[str, str] | None = None, backing_only: bool = False
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)  # what users upload is nobody else's business
        self.home = home.resolve()
        self._port = port
        self._overrides = dict(overrides or {})
        self._backing_only = backing_only
        if (listen := self._overrides.get("LISTEN")) and not ports.ours(listen):
            raise StartError(f"LISTEN={listen} is no address of this machine")
        self._plan = Plan(self.home, port, self._overrides)
        self._children: dict[str, Child] = {}
        self._keeper: Keeper | None = None
        self._watchdog: mongo.Watchdog | None = None
        self._lock: IO[str] | None = None
        self._ready = False
        self._writing = threading.Lock()

    @property
    def url(self) -> str:
        """The gateway's address."""
        return self._plan.url

    @property
    def inbox_url(self) -> str:
        """The inbox's address; empty when SMTP_URL is given."""
        return self._plan.inbox_url

    @property
    def mysql_url(self) -> str:
        """Where the accounts are."""
        return self._plan.urls.mysql

    @property
    def mongo_url(self) -> str:
        """Where jobs and files are."""
        return self._plan.urls.mongo

    @property
    def rabbitmq_url(self) -> str:
        """Where the queues are."""
        return self._plan.urls.rabbitmq

    @property
    def smtp_url(self) -> str:
        """Where mail goes."""
        return self._plan.urls.smtp

    @property
    def settings(self) -> dict[str, str]:
        """All these addresses as settings by their names, also the broker's by account."""
        return self._plan.settings

    def env(self, name: str) -> dict[str, str]:
        """The environment of a function, of `janitor`, `migrate`, `source-video` or `source-mp3`."""
        return self._plan.environment(name)

    def child(self, name: str) -> Child:
        """A child by its name, to kill, freeze or hold it."""
        return self._children[name]

    def start(self) -> None:
        """Starts everything and returns when all of it is ready. Raises StartError or AlreadyRunningError."""
        self._lock = state.lock(self.home)
        try:
            state.end_leftovers(self.home)
            self._claim_ports()
            self._make_keys()
            self._run()
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends everything; returns when no process is left."""
        if self._watchdog:
            self._watchdog.stop()
        if self._keeper:
            self._keeper.stop()
            self._keeper, self._ready = None, False
            state.clear(self.home)
        if self._lock:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Within, a child is dead; afterwards it is ready again."""
        child = self.child(name)
        child.hold()
        child.kill()
        try:
            yield
        finally:
            child.release()
            self.await_ready(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Within, a child stands still: it accepts connections and answers nothing."""
        child = self.child(name)
        child.hold()  # the watchdog leaves alone what is held
        child.freeze()
        try:
            yield
        finally:
            child.thaw()
            child.release()

    def await_ready(self, name: str, seconds: float = BACK_SECONDS) -> None:
        """Waits until a child is ready. Raises StartError when it isn't within so many seconds."""
        if not self.child(name).ready.wait(seconds):
            raise StartError(_failure([self.child(name)]))

    def _claim_ports(self) -> None:
        if self._plan.ports.renew():
            self._plan = Plan(self.home, self._port, self._overrides)
        if self._port and not self._backing_only and not ports.free(self._port):
            raise StartError(f"port {self._port} is taken by another program; choose another one with PORT=...")

    def _make_keys(self) -> None:
        if not self._backing_only and not (self._plan.keys / "jwks.json").exists():
            command = [sys.executable, "-m", "functions.auth.keys", "new", str(self._plan.keys)]
            subprocess.run(command, cwd=ROOT, check=True)

    def _run(self) -> None:
        logs = self.home / "log"
        logs.mkdir(exist_ok=True)
        programs = [*self._plan.servers(), *([] if self._backing_only else self._plan.product())]
        self._children = {program.name: Child(program, _log(logs, program)) for program in programs}
        self._keeper = Keeper(list(self._children.values()), self._write_state)
        self._keeper.start()
        if "mongo" in self._children:
            self._watchdog = mongo.Watchdog(self._children["mongo"], self.mongo_url)
            self._watchdog.start()

    def _await_ready(self) -> None:
        until = time.monotonic() + START_SECONDS
        while missing := [child for child in self._children.values() if not _settled(child)]:
            hopeless = [child for child in missing if child.restarts >= DEATHS]
            if hopeless or time.monotonic() > until:
                raise StartError(_failure(hopeless or missing))
            time.sleep(0.05)
        self._ready = True
        self._write_state()

    def _write_state(self) -> None:
        pid, ticks = state.identity(os.getpid())
        about: dict[str, Any] = {
            "pid": pid,
            "ticks": ticks,
            "ready": self._ready,
            "url": "" if self._backing_only else self.url,
        }
        about |= {"inbox": self.inbox_url, "mongo": self.mongo_url, "rabbitmq": self.rabbitmq_url}
        about["settings"] = self.settings
        about["children"] = [_describe(child) for child in self._children.values()]
        with self._writing, suppress(OSError):  # a full disk is no reason to stop everything
            state.write(self.home, about)


def _settled(child: Child) -> bool:
    return child.ready.is_set() or child.program.every > 0


def _describe(child: Child) -> dict[str, object]:
    pid, ticks = state.identity(child.pid) if child.pid else (0, 0)
    ready, port = child.ready.is_set(), child.program.port
    about = {"name": child.name, "port": port, "since": child.since, "restarts": child.restarts, "ready": ready}
    return about | {"pid": pid, "ticks": ticks, "once": child.program.once, "every": child.program.every}


def _failure(children: list[Child]) -> str:
    return "\n".join(f"{child.name} is not ready; the end of {child.log}:\n{child.tail()}" for child in children)


def _log(folder: Path, program: Program) -> Path:
    file = folder / f"{program.name}.log"
    if file.exists() and file.stat().st_size > LOG_BYTES:
        file.replace(file.with_suffix(".log.old"))
    return file
