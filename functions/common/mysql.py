"""MySQL: one short connection for each piece of work, every wait bounded."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

CONNECT_SECONDS = 3
OPERATION_SECONDS = 5

# What means "MySQL is away, try again", as against a mistake of ours.
AWAY: tuple[type[Exception], ...] = (pymysql.err.OperationalError, pymysql.err.InterfaceError)


@contextmanager
def connect(url: str) -> "Iterator[Connection[Cursor]]":
    """A connection to `mysql://user:password@host:port/database`, in autocommit mode."""
    parts = urlsplit(url)
    connection = pymysql.connect(
        host=parts.hostname or "",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=parts.path.lstrip("/"),
        charset="utf8mb4",
        connect_timeout=CONNECT_SECONDS,
        read_timeout=OPERATION_SECONDS,
        write_timeout=OPERATION_SECONDS,
        autocommit=True,
    )
    try:
        yield connection
    finally:
        connection.close()
