"""A private SecantusDB, which stands for MongoDB on one machine: the same wire protocol, a separate process.

It is young: once in many runs it was seen to hang for good, so a watchdog reads from it and has it killed when it does.
"""

import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from local import ports
from local.process import Child, Program

DATABASE = "video_to_mp3"
WATCH_SECONDS = 5.0
PATIENCE_SECONDS = 10.0
PATIENCE = 3  # so many reads in a row must fail; a busy server is no hung one


def url(port: int, host: str = ports.LOOPBACK) -> str:
    """The address of its database."""
    return f"mongodb://{host}:{port}/{DATABASE}?w=majority&journal=true"


def program(home: Path, port: int, environment: Mapping[str, str], host: str = ports.LOOPBACK) -> Program:
    """The server, with its data in `home`. It has no accounts: whoever reaches `host` may read and write."""
    home.mkdir(exist_ok=True)
    command = [
        *(str(Path(sys.executable).with_name("secantusd-py")), "--standalone", "--sync-on-commit"),
        *("--host", host, "--port", str(port), "--storage-path", str(home), "--log-level", "WARNING"),
    ]
    # With more arenas its memory would reach gigabytes under load.
    return Program("mongo", command, {**environment, "MALLOC_ARENA_MAX": "2"}, partial(_ready, port, host), port)


def _client(address: str, seconds: float) -> MongoClient[dict[str, Any]]:
    milliseconds = int(seconds * 1000)
    return MongoClient(
        address, timeoutMS=milliseconds, serverSelectionTimeoutMS=milliseconds, connectTimeoutMS=milliseconds
    )


def _ready(port: int, host: str) -> bool:
    if not ports.answers(port, host):
        return False
    try:
        with _client(url(port, host), 2) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True


class Watchdog(threading.Thread):
    """Kills the server when it hangs; the keeper starts it again. Leaves it alone while a test holds it."""

    def __init__(
        self, child: Child, address: str, every: float = WATCH_SECONDS, patience: float = PATIENCE_SECONDS
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._child = child
        self._address = address
        self._every = every
        self._patience = patience
        self._leaving = threading.Event()

    def run(self) -> None:
        """The thread itself."""
        failures = 0
        with _client(self._address, self._patience) as client:
            while not self._leaving.wait(self._every):
                watching = self._child.ready.is_set() and not self._child.held
                failures = failures + 1 if watching and not _reads(client) else 0
                if failures >= PATIENCE and not self._child.held:
                    self._child.kill()

    def stop(self) -> None:
        """Ends the watch, without waiting for a read that is under way."""
        self._leaving.set()


def _reads(client: MongoClient[dict[str, Any]]) -> bool:
    # A read and not a ping: the hang was in the storage, and a ping does not go there.
    try:
        client.get_default_database()["jobs"].find_one({"_id": "watchdog"})
    except PyMongoError:
        return False
    return True


def unfinished(address: str) -> int:
    """How many jobs have yet to reach an end."""
    ends = ["done", "failed", "cancelled", "expired"]
    with _client(address, 5) as client:
        return client.get_default_database()["jobs"].count_documents({"state": {"$nin": ends}})
