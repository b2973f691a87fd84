"""The MongoDB client: majority and journal everywhere, every wait bounded.

A client must not cross a fork, so it is made on first use, in gunicorn's worker.
"""

import threading
from contextlib import AbstractContextManager
from typing import Any

import pymongo
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, ExecutionTimeout, WTimeoutError

Document = dict[str, Any]

# What means "MongoDB is away, try again" (refused, reset, too slow), as against a mistake of ours.
AWAY: tuple[type[Exception], ...] = (ConnectionFailure, ExecutionTimeout, WTimeoutError)

OPERATION_SECONDS = 5.0
REQUEST_SECONDS = 8.0


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
    """One limit for all operations of a block together, in place of one for each."""
    return pymongo.timeout(seconds)
