"""Accounts in a real MySQL (MariaDB, or what MYSQL_URL names)."""

import threading
import uuid
from typing import Any

import argon2
import pytest

from functions.auth import users
from functions.auth.users import EmailTakenError, InvalidEmailError, Users, WeakPasswordError
from functions.common import mysql
from functions.migrate.main import migrate_mysql
from local.ports import choose

PASSWORD = "correct horse"


@pytest.fixture
def accounts(backing: Any) -> Users:
    migrate_mysql(backing.mysql_url)
    return Users(backing.mysql_url)


@pytest.fixture
def email() -> str:
    return f"{uuid.uuid4().hex}@demo.example"


def test_an_account_opens_with_its_password_and_no_other(accounts: Users, email: str) -> None:
    made = accounts.add(email, PASSWORD)

    assert accounts.check(email, PASSWORD) == made
    assert accounts.check(email.upper(), PASSWORD) == made
    assert accounts.check(email, PASSWORD + " ") is None
    assert accounts.check("nobody@demo.example", PASSWORD) is None


@pytest.mark.parametrize("hostile", ["' OR 1=1 -- ", "a@demo.example' --", "%", "\x00", "x" * 100_000, "é@x.example"])
def test_a_hostile_address_opens_nothing(accounts: Users, hostile: str) -> None:
    assert accounts.check(hostile, PASSWORD) is None


def test_two_accounts_cannot_share_an_address_even_at_once(accounts: Users, email: str) -> None:
    outcomes = []

    def add() -> None:
        try:
            accounts.add(email, PASSWORD)
            outcomes.append("made")
        except EmailTakenError:
            outcomes.append("taken")

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["made"] + ["taken"] * 7


def test_what_cannot_be_an_account_is_refused(accounts: Users, email: str) -> None:
    with pytest.raises(InvalidEmailError):
        accounts.add("nonsense", PASSWORD)
    with pytest.raises(WeakPasswordError):
        accounts.add(email, "short")
    with pytest.raises(WeakPasswordError):
        accounts.add(email, "x" * 129)


def test_passwords_are_kept_as_argon2id(accounts: Users, email: str, backing: Any) -> None:
    accounts.add(email, PASSWORD)
    with mysql.connect(backing.mysql_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT password FROM users WHERE email = %s", (email,))
        ((stored,),) = cursor.fetchall()

    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_an_old_hash_is_renewed_at_login(accounts: Users, email: str, backing: Any) -> None:
    accounts.add(email, PASSWORD)
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with mysql.connect(backing.mysql_url) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE users SET password = %s WHERE email = %s", (weak, email))

    assert accounts.check(email, PASSWORD) is not None
    with mysql.connect(backing.mysql_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT password FROM users WHERE email = %s", (email,))
        ((stored,),) = cursor.fetchall()
    assert not users._hasher.check_needs_rehash(stored)
    assert accounts.check(email, PASSWORD) is not None


def test_the_migration_can_run_again_and_at_once(backing: Any) -> None:
    threads = [threading.Thread(target=migrate_mysql, args=[backing.mysql_url]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with mysql.connect(backing.mysql_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM schema_steps")
        assert [name for (name,) in cursor.fetchall()] == ["0001-users.sql"]


def test_a_server_that_is_away_is_one_of_the_errors_that_mean_503() -> None:
    nowhere = Users(f"mysql://u:p@127.0.0.1:{choose(set())}/auth?tls=verified")

    with pytest.raises(users.AWAY):
        nowhere.check("a@demo.example", PASSWORD)
    with pytest.raises(users.AWAY):
        nowhere.add("a@demo.example", PASSWORD)
