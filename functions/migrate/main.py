"""One-shot program `python -m functions.migrate.main`: MySQL's schema, MongoDB's indexes, the functions' accounts.

Safe to run again and safe to run twice at once. Schema steps are numbered SQL files; each runs once.
"""

import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pymongo.errors import OperationFailure
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from functions.common import files, jobrecord, logs, mysql, settings
from functions.common.mongo import AWAY, Mongo
from functions.migrate import accounts

log = logging.getLogger("functions.migrate")

LOCK_SECONDS = 30
FAILURES: tuple[type[Exception], ...] = (
    settings.SettingsError,
    accounts.AccountsError,
    TimeoutError,
    OperationFailure,  # such as an account that may not make others
    *mysql.AWAY,
    *AWAY,
)
STEPS = sorted(Path(__file__).parent.glob("mysql/*.sql"))


@dataclass(frozen=True)
class Settings:
    """Where the databases are; both accounts may change schemas, and make accounts if there is an `accounts_dir`."""

    mysql_url: str = field(repr=False)
    mongo_url: str = field(repr=False)
    accounts_dir: str = ""
    log_level: str = "INFO"


def migrate_mysql(url: str) -> None:
    """Runs the steps that this database has not seen, one program at a time."""
    with mysql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('video-to-mp3 migration', %s)", (LOCK_SECONDS,))
        if cursor.fetchone() != (1,):
            raise TimeoutError("another migration holds the lock")
        cursor.execute("CREATE TABLE IF NOT EXISTS schema_steps (name VARCHAR(100) NOT NULL PRIMARY KEY)")
        cursor.execute("SELECT name FROM schema_steps")
        done = {name for (name,) in cursor.fetchall()}
        for step in STEPS:
            if step.name not in done:
                _run(connection, step)


def _run(connection: "Connection[Cursor]", step: Path) -> None:
    # A step is one statement: MySQL commits each schema statement by itself, so two could end half done.
    with connection.cursor() as cursor:
        cursor.execute(step.read_text(encoding="utf-8"))
        cursor.execute("INSERT INTO schema_steps (name) VALUES (%s)", (step.name,))
    log.info("schema step done", extra={"step": step.name})


def migrate_mongo(mongo: Mongo) -> None:
    """Makes the indexes that are missing."""
    mongo.database["jobs"].create_indexes(jobrecord.INDEXES)
    for bucket in (files.VIDEOS, files.MP3S):
        for part, indexes in files.INDEXES.items():
            mongo.database[f"{bucket}.{part}"].create_indexes(indexes)


def main() -> None:
    """Migrates both databases, makes the accounts if asked to; ends with a message and status 1 when it cannot."""
    try:
        loaded = settings.load(Settings)
        logs.configure("migrate", loaded.log_level)
        mongo = Mongo(loaded.mongo_url)
        migrate_mysql(loaded.mysql_url)
        migrate_mongo(mongo)
        if loaded.accounts_dir:
            accounts.make_mysql(loaded.mysql_url, Path(loaded.accounts_dir))
            accounts.make_mongo(mongo, Path(loaded.accounts_dir))
    except FAILURES as error:
        sys.exit(f"not migrated: {error}")


if __name__ == "__main__":
    main()
