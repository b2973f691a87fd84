"""Accounts in MySQL: the only code that knows their table and how passwords are kept."""

import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import argon2
import pymysql

from functions.common import mysql
from functions.common.mysql import AWAY as AWAY

PASSWORD_CHARACTERS = range(8, 129)
HASHES_AT_ONCE = 4
HASH_WAIT_SECONDS = 5

# OWASP's Argon2id floor: 19 MiB, two passes, one lane; 16 logins at once stay below 100 MiB.
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Verified when there is no such account, so that the answer takes as long; no password has this hash.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class EmailTakenError(Exception):
    """There is an account with this address."""


class InvalidEmailError(Exception):
    """Not an address that a mail can be sent to; the message says why."""


class WeakPasswordError(Exception):
    """The password is too short or too long."""


class BusyError(Exception):
    """Too many passwords are being checked at the moment."""


@dataclass(frozen=True)
class User:
    """An account: its opaque id and its normalised address."""

    id: str
    email: str


def normalise(email: str) -> str:
    """The one spelling of an address that we keep: checked, domain in ASCII, lower case. Raises InvalidEmailError.

    Case is folded although RFC 5321 lets a host tell `A@x` from `a@x`: no mail provider does, and two accounts that
    differ by it would be a trap.
    """
    from email_validator import EmailNotValidError, validate_email  # costs 15 ms, and a login rarely needs it

    try:
        checked = validate_email(email.strip(), allow_smtputf8=False, check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidEmailError(str(error)) from None
    return (checked.ascii_email or checked.normalized).lower()


def spelling(email: str) -> str:
    """How an address would be kept if it is one: without checking what is plain ASCII, as it can only be folded."""
    if email.isascii():
        return email.strip().lower()
    try:
        return normalise(email)
    except InvalidEmailError:
        return ""


class Users:
    """The table `users` of the database at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)

    def add(self, email: str, password: str) -> User:
        """A new account. Raises InvalidEmailError, WeakPasswordError, EmailTakenError, BusyError or one of AWAY."""
        user = User(str(uuid.uuid4()), normalise(email))
        if len(password) not in PASSWORD_CHARACTERS:
            raise WeakPasswordError
        with self._slot():
            hashed = _hasher.hash(password)
        with mysql.connect(self._url) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(
                    "INSERT INTO users (id, email, password, created) VALUES (%s, %s, %s, %s)",
                    (user.id, user.email, hashed, datetime.now(UTC).replace(tzinfo=None)),
                )
            except pymysql.err.IntegrityError as error:
                raise EmailTakenError from error
        return user

    def check(self, email: str, password: str) -> User | None:
        """The account with this address and password, else None after the same work. Raises BusyError, one of AWAY."""
        address = spelling(email)
        with mysql.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id, password FROM users WHERE email = %s", (address,))
            row = cursor.fetchone()
        user_id, hashed = row or (None, NOBODY)
        with self._slot():
            matches = _matches(hashed, password)
        if user_id is None or not matches:
            return None
        if _hasher.check_needs_rehash(hashed):
            self._rehash(user_id, password)
        return User(user_id, address)

    def _rehash(self, user_id: str, password: str) -> None:
        with self._slot():
            hashed = _hasher.hash(password)
        with mysql.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE users SET password = %s WHERE id = %s", (hashed, user_id))

    def _slot(self) -> "_Slot":
        return _Slot(self._hashing)


class _Slot:
    """A place among the HASHES_AT_ONCE; waits for one, but not for ever."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self._places = places

    def __enter__(self) -> None:
        if not self._places.acquire(timeout=HASH_WAIT_SECONDS):
            raise BusyError

    def __exit__(self, *_: object) -> None:
        self._places.release()


def _matches(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password[: PASSWORD_CHARACTERS.stop])
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
