"""The functions' accounts in the databases, each with the rights that its function needs and no others.

A folder (a mounted secret) has each account's address in a file: `mysql/auth`, `mongodb/upload` and so on. Its name and
password are made what the address says, so a new password is set by running the migration again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pymongo import uri_parser
from pymongo.errors import OperationFailure

from functions.common import mysql
from functions.common.files import MP3S, VIDEOS
from functions.common.mongo import Mongo

FIND, INSERT, UPDATE, REMOVE = "find", "insert", "update", "remove"
JOBS = "jobs"
EXISTS = (51002, 51003)  # a role, a user

Rights = Mapping[str, tuple[str, ...]]


def _bucket(name: str, *actions: str) -> Rights:
    return {f"{name}.files": actions, f"{name}.chunks": actions}


# What may be done to each collection. Who ends a job removes its files.
MONGO: Mapping[str, Rights] = {
    "upload": {JOBS: (FIND, INSERT, UPDATE, REMOVE), **_bucket(VIDEOS, INSERT, REMOVE)},
    "convert": {JOBS: (FIND, UPDATE), **_bucket(VIDEOS, FIND, REMOVE), **_bucket(MP3S, FIND, INSERT, REMOVE)},
    "notify": {JOBS: (FIND, UPDATE)},
    "download": {JOBS: (FIND, UPDATE), **_bucket(VIDEOS, REMOVE), **_bucket(MP3S, FIND, REMOVE)},
    "janitor": {JOBS: (FIND, UPDATE, REMOVE), **_bucket(VIDEOS, FIND, REMOVE), **_bucket(MP3S, FIND, REMOVE)},
}
# Accounts are made, looked up, and get their hash renewed; nothing else ever changes and nothing is removed.
MYSQL = {"auth": "SELECT, INSERT, UPDATE (password)"}


class AccountsError(Exception):
    """An account's address is missing or says too little; the message names it."""


def make_mysql(administrator: str, folder: Path) -> None:
    """auth's account in the database at `administrator`, an address whose account may make others."""
    database = urlsplit(administrator).path.lstrip("/")
    for name, rights in MYSQL.items():
        address = urlsplit(_read(folder / "mysql" / name))
        account = (unquote(_given(address.username, name)), "%")
        password = unquote(_given(address.password, name))
        table = f"`{database.replace('`', '``')}`.`users`"
        with mysql.connect(administrator) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER IF NOT EXISTS %s@%s IDENTIFIED BY %s", (*account, password))
            cursor.execute("ALTER USER %s@%s IDENTIFIED BY %s", (*account, password))
            cursor.execute(f"GRANT {rights} ON {table.replace('%', '%%')} TO %s@%s", account)


def make_mongo(mongo: Mongo, folder: Path) -> None:
    """The functions' accounts, each with a role of its own, where their addresses say that they log in."""
    database = mongo.database
    for name, rights in MONGO.items():
        address = uri_parser.parse_uri(_read(folder / "mongodb" / name))
        user, password = _given(address["username"], name), _given(address["password"], name)
        home = database.client[address["options"].get("authSource") or address["database"] or "admin"]
        privileges = [
            {"resource": {"db": database.name, "collection": collection}, "actions": list(actions)}
            for collection, actions in rights.items()
        ]
        _put(home, "Role", name, privileges=privileges, roles=[])
        _put(home, "User", user, pwd=password, roles=[{"role": name, "db": home.name}])


def _put(home: Any, kind: str, name: str, **about: Any) -> None:
    # Made, or changed where it is there: two migrations at once must not fail for each other.
    try:
        home.command(f"create{kind}", name, **about)
    except OperationFailure as error:
        if error.code not in EXISTS:
            raise
        home.command(f"update{kind}", name, **about)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AccountsError(f"the address of an account is missing: {error}") from error


def _given(text: str | None, name: str) -> str:
    if not text:
        raise AccountsError(f"the address of {name} has no account and password")
    return text
