"""The account that the migration makes in MySQL: it suffices for auth's work, and for nothing else."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from functions.auth.users import Users
from functions.common import mysql
from functions.migrate.accounts import AccountsError, make_mysql
from functions.migrate.main import migrate_mysql
from local import mariadb, ports
from local.process import Child
from tests.servers import running

QUOTED = "p%2Fw%2541%3A%40"  # what an address makes of p/w%41:@


@pytest.fixture(scope="module")
def administrator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private MariaDB, at an account that may make others."""
    home, port = tmp_path_factory.mktemp("mariadb"), ports.choose(set())
    program = mariadb.program(home, port, "secret", os.environ)
    with (home / "prepare.sql").open("a") as prepare:
        prepare.write("GRANT ALL ON *.* TO 'accounts'@'127.0.0.1' WITH GRANT OPTION;\n")
    with running(Child(program, home / "log")):
        url = mariadb.url(port, "secret")
        migrate_mysql(url)
        yield url


def test_auths_account_in_mysql_suffices_and_changes_nothing_else(administrator: str, tmp_path: Path) -> None:
    (tmp_path / "mysql").mkdir()
    for password in ("old", QUOTED):
        url = administrator.replace("accounts:secret", f"auth:{password}")
        (tmp_path / "mysql" / "auth").write_text(url + "\n")
        make_mysql(administrator, tmp_path)
    users, email = Users(url), f"{uuid.uuid4().hex}@demo.example"

    made = users.add(email, "correct horse")

    assert users.check(email, "correct horse") == made
    users._rehash(made.id, "another horse")
    assert users.check(email, "another horse") == made
    with mysql.connect(url) as connection, connection.cursor() as cursor:
        for refused in (
            "DELETE FROM users",
            "UPDATE users SET email = 'x'",
            "DROP TABLE users",
            "CREATE TABLE other (x INT)",
            "SELECT name FROM schema_steps",
            "SELECT User FROM mysql.user",
        ):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(refused)


def test_an_address_that_is_missing_or_says_too_little_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccountsError, match="mysql/auth"):
        make_mysql("mysql://root:x@127.0.0.1:1/accounts", tmp_path)
    (tmp_path / "mysql").mkdir()
    (tmp_path / "mysql" / "auth").write_text("mysql://127.0.0.1:1/accounts")
    with pytest.raises(AccountsError, match="address of auth"):
        make_mysql("mysql://root:x@127.0.0.1:1/accounts", tmp_path)
