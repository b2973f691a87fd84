"""One in-memory stand-in for each protocol that the functions speak, with switches to fail.

The contract tests (tests/contracts.py) run the same expectations against these and against the real servers.
"""

import copy
from collections.abc import Collection, Iterable, Iterator
from email.message import EmailMessage
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, ServerSelectionTimeoutError

from functions.auth.users import EmailTakenError, User, WeakPasswordError, normalise
from functions.common.events import Event
from functions.common.parcel import PublishError
from functions.notify.mail import MailAwayError

_COMPARE = {
    "$in": lambda value, wanted: value in wanted,
    "$nin": lambda value, wanted: value not in wanted,
    "$ne": lambda value, wanted: value != wanted,
    "$lt": lambda value, wanted: value is not None and value < wanted,
    "$lte": lambda value, wanted: value is not None and value <= wanted,
    "$gte": lambda value, wanted: value is not None and value >= wanted,
    "$gt": lambda value, wanted: value is not None and value > wanted,
    "$exists": lambda value, wanted: (value is not None) == wanted,
}


class FakeCollection:
    """The part of a collection that the functions use: compare-and-set, insert, find, delete."""

    def __init__(self, database: "FakeDatabase") -> None:
        self._database = database
        self._documents: dict[Any, dict[str, Any]] = {}

    def insert_one(self, document: dict[str, Any]) -> None:
        self._database.use("insert")
        key = (document.get("owner"), _get(document, "key.value"))
        taken = key[1] is not None and any((d["owner"], _get(d, "key.value")) == key for d in self._documents.values())
        if document["_id"] in self._documents or taken:
            raise DuplicateKeyError("duplicate")
        self._documents[document["_id"]] = copy.deepcopy(document)

    def insert_many(self, documents: Iterable[dict[str, Any]]) -> None:
        for index, document in enumerate(documents):
            try:
                self.insert_one(document)
            except OperationFailure as error:
                raise BulkWriteError({"writeErrors": [{"index": index, **(error.details or {})}]}) from error

    def find(
        self, filter_: Any = None, projection: Any = None, sort: Any = (), limit: int = 0, batch_size: int = 0
    ) -> Iterator[dict[str, Any]]:
        self._database.use()
        found = [copy.deepcopy(d) for d in self._documents.values() if _matches(d, filter_ or {})]
        for name, direction in reversed(list(sort)):
            found.sort(key=lambda d: _get(d, name), reverse=direction < 0)
        return iter(found[: limit or None])

    def find_one(self, filter_: Any, projection: Any = None, sort: Any = ()) -> dict[str, Any] | None:
        return next(self.find(filter_, sort=sort), None)

    def count_documents(self, filter_: Any) -> int:
        return len(list(self.find(filter_)))

    def update_one(self, filter_: Any, update: Any) -> None:
        self.find_one_and_update(filter_, update)

    def find_one_and_update(self, filter_: Any, update: Any, return_document: Any = None) -> dict[str, Any] | None:
        self._database.use("update")
        for document in self._documents.values():
            if _matches(document, filter_):
                _apply(document, update)
                return copy.deepcopy(document)
        return None

    def delete_one(self, filter_: Any) -> Any:
        return self._delete(filter_, 1)

    def delete_many(self, filter_: Any) -> Any:
        return self._delete(filter_, len(self._documents))

    def _delete(self, filter_: Any, most: int) -> Any:
        self._database.use("delete")
        keys = [key for key, document in self._documents.items() if _matches(document, filter_)][:most]
        for key in keys:
            del self._documents[key]
        return type("Deleted", (), {"deleted_count": len(keys)})


FULL = {"code": 14031, "codeName": "OutOfDiskSpace", "errmsg": "available disk space is too low"}


class FakeDatabase:
    """Collections by name. `down` makes every operation fail, `after` lets that many more through first.

    `refused` names the writes (insert, update, delete) that get `refusal` for an answer.
    """

    def __init__(self) -> None:
        self.down = False
        self.after: int | None = None
        self.refused: Collection[str] = ()
        self.refusal: dict[str, Any] = FULL
        self.operations = 0
        self._collections: dict[str, FakeCollection] = {}

    def __getitem__(self, name: str) -> FakeCollection:
        return self._collections.setdefault(name, FakeCollection(self))

    def use(self, kind: str = "find") -> None:
        self.operations += 1
        if self.after is not None:
            self.after -= 1
            self.down = self.down or self.after < 0
        if self.down:
            raise ServerSelectionTimeoutError("down")
        if kind in self.refused:
            raise OperationFailure(self.refusal["errmsg"], self.refusal["code"], self.refusal)


class FakeMongo:
    """What functions.common.mongo.Mongo is to the code that uses it."""

    def __init__(self) -> None:
        self.database = FakeDatabase()

    def everything(self) -> dict[str, int]:
        """How many documents each collection holds, the empty ones left out."""
        self.database.down, self.database.after, self.database.refused = False, None, ()
        counts = {name: len(list(c.find())) for name, c in self.database._collections.items()}
        return {name: count for name, count in counts.items() if count}


class FakePublisher:
    """Keeps what was published; `down` refuses it."""

    def __init__(self) -> None:
        self.down = False
        self.published: list[tuple[str, Event]] = []

    def publish(self, queue: str, event: Event, within: float) -> None:
        if self.down:
            raise PublishError("down")
        self.published.append((queue, event))


class FakeMailer:
    """Keeps the mails; `error` is raised in place of taking the next ones."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.sent: list[EmailMessage] = []

    def send(self, message: EmailMessage, before_data: Any) -> None:
        if isinstance(self.error, MailAwayError):
            raise self.error
        before_data()
        if self.error:
            raise self.error
        self.sent.append(message)


class FakeUsers:
    """Accounts in a dictionary; `error` is raised by every call."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._passwords: dict[str, tuple[User, str]] = {}

    def add(self, email: str, password: str) -> User:
        self._fail()
        user = User(f"id-{len(self._passwords)}", normalise(email))
        if len(password) < 8:
            raise WeakPasswordError
        if user.email in self._passwords:
            raise EmailTakenError
        self._passwords[user.email] = user, password
        return user

    def check(self, email: str, password: str) -> User | None:
        self._fail()
        user, known = self._passwords.get(email.lower(), (None, None))
        return user if user and known == password else None

    def _fail(self) -> None:
        if self.error:
            raise self.error


def _get(document: dict[str, Any], path: str) -> Any:
    """The value at `path`; for a path through a list the values of its elements, as MongoDB matches them."""
    value: Any = document
    for name in path.split("."):
        if isinstance(value, list):
            value = (
                (value[int(name)] if int(name) < len(value) else None) if name.isdigit() else [v[name] for v in value]
            )
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _matches(document: dict[str, Any], filter_: dict[str, Any]) -> bool:
    return all(_meets(document, name, wanted) for name, wanted in filter_.items())


def _meets(document: dict[str, Any], name: str, wanted: Any) -> bool:
    if name in ("$or", "$and"):
        return (any if name == "$or" else all)(_matches(document, option) for option in wanted)
    value = _get(document, name)
    if isinstance(wanted, dict) and wanted and all(key.startswith("$") for key in wanted):
        return all(_COMPARE[operator](value, operand) for operator, operand in wanted.items())
    return value == wanted or (isinstance(value, list) and wanted in value)


def _apply(document: dict[str, Any], update: dict[str, dict[str, Any]]) -> None:
    for operator, changes in update.items():
        for path, value in changes.items():
            *folders, last = path.split(".")
            place = document
            for folder in folders:
                place = place.setdefault(folder, {})
            place[last] = _CHANGE[operator](place.get(last), copy.deepcopy(value))
            if operator == "$unset":
                del place[last]


_CHANGE = {
    "$set": lambda old, value: value,
    "$unset": lambda old, value: None,
    "$inc": lambda old, value: (old or 0) + value,
    "$push": lambda old, value: [*(old or []), value],
    "$addToSet": lambda old, value: old if value in (old or []) else [*(old or []), value],
    "$pull": lambda old, value: [entry for entry in old or [] if not _matches(entry, value)],
}
