"""The MongoDB client: majority and journal everywhere, every wait bounded.

A client must not cross a fork, so it is made on first use, in gunicorn's worker.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pymongo
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, WTimeoutError

Document = dict[str, Any]


class StorageFullError(Exception):
    """MongoDB answers, but has no room for what is to be written."""


# What means "MongoDB is away, try again" (refused, reset, too slow, full), as against a mistake of ours.
AWAY: tuple[type[Exception], ...] = (ConnectionFailure, ExecutionTimeout, WTimeoutError, StorageFullError)

OUT_OF_DISK_SPACE = 14031
# Other refusals for lack of room share their codes with much else, so their words tell: the storage engine's, those of
# writes that were blocked above a threshold of disk use (MongoDB 8), those of a hosted database's quota.
NO_ROOM = ("no space left on device", "diskusethresholdexceeded", "space quota")

OPERATION_SECONDS = 5.0
REQUEST_SECONDS = 8.0
LEAST_SECONDS = 0.001  # to the driver, 0 is no limit at all


class Mongo:
    """The database that `url` names in its path, connected to when first asked for."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._client: MongoClient[Document] | None = None

    @property
    def database(self) -> Database[Document]:
        """The database; operations on it give up after OPERATION_SECONDS unless a `budget` says otherwise."""
        with self._lock:
            if self._client is None:
                self._client = MongoClient(
                    self._url,
                    w="majority",
                    journal=True,
                    readConcernLevel="majority",
                    timeoutMS=int(OPERATION_SECONDS * 1000),
                    serverSelectionTimeoutMS=int(OPERATION_SECONDS * 1000),
                    connectTimeoutMS=3000,
                    maxPoolSize=40,
                    tz_aware=True,
                )
            return self._client.get_default_database()


def budget(seconds: float = REQUEST_SECONDS) -> AbstractContextManager[None]:
    """One limit for all operations of a block together, in place of one for each; none left (0, negative) is little."""
    return pymongo.timeout(max(seconds, LEAST_SECONDS))


@contextmanager
def writing() -> Iterator[None]:
    """Around every write: raises StorageFullError where the server refuses it for lack of room."""
    try:
        yield
    except OperationFailure as error:
        if any(map(_no_room, _refusals(error))):
            raise StorageFullError(error.args[0][:200]) from error
        raise


def _refusals(error: OperationFailure) -> list[Document]:
    """What the server said: of each document, where several were to be written."""
    details: Document = dict(error.details or {})
    return details.get("writeErrors") or [details | {"code": error.code}]


def _no_room(refusal: Document) -> bool:
    words = str(refusal.get("errmsg", "")).lower()
    return refusal.get("code") == OUT_OF_DISK_SPACE or any(known in words for known in NO_ROOM)
