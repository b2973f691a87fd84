"""MySQL: one short connection for each piece of work, every wait bounded."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import parse_qsl, unquote, urlsplit

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

CONNECT_SECONDS = 3
OPERATION_SECONDS = 5

# What means "MySQL is away, try again", as against a mistake of ours.
AWAY: tuple[type[Exception], ...] = (pymysql.err.OperationalError, pymysql.err.InterfaceError)


@contextmanager
def connect(url: str) -> "Iterator[Connection[Cursor]]":
    """A connection to `mysql://user:password@host:port/database`, in autocommit mode.

    Behind it `?tls=verified` (and `&ca=FILE` for a private authority) or `?tls=none`; else TLS if the server has it.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
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
        ssl=_context(query.get("ca")) if query.get("tls") == "verified" else None,
        ssl_disabled=query.get("tls") == "none",
    )
    try:
        yield connection
    finally:
        connection.close()


@cache
def _context(ca: str | None) -> ssl.SSLContext:
    # Reading the authorities takes 15 ms: once, not at every login.
    return ssl.create_default_context(cafile=ca)
