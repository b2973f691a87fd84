"""A private MariaDB, which stands for MySQL. `python -m local.mariadb` makes its data if need be, then becomes it.

One address, small buffers, nothing of the system's configuration. One account with one database.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from local import checks
from local.passwords import write_private
from local.ports import LOOPBACK
from local.process import Program

# Run at each start, before connections are answered; a statement a line.
PREPARE = """\
DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';
DELETE FROM mysql.proxies_priv;
FLUSH PRIVILEGES;
ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';
CREATE DATABASE IF NOT EXISTS accounts CHARACTER SET utf8mb4;
CREATE OR REPLACE USER 'accounts'@'{clients}' IDENTIFIED BY '{password}';
GRANT ALL ON accounts.* TO 'accounts'@'{clients}';
"""


def url(port: int, password: str, host: str = LOOPBACK) -> str:
    """The address of its database."""
    return f"mysql://accounts:{password}@{host}:{port}/accounts?tls=none"


def program(home: Path, port: int, password: str, environment: Mapping[str, str], host: str = LOOPBACK) -> Program:
    """The server, with its data in `home`."""
    home.mkdir(exist_ok=True)
    (home / "tmp").mkdir(exist_ok=True)
    clients = host if host == LOOPBACK else "%"  # who comes over a network comes from an address of his own
    write_private(home / "prepare.sql", PREPARE.format(password=password, clients=clients))
    server = [
        *("mariadbd", "--no-defaults", *_as_user()),
        *(f"--datadir={home / 'data'}", f"--tmpdir={home / 'tmp'}", f"--init-file={home / 'prepare.sql'}"),
        *("--socket=mariadb.sock", "--pid-file=mariadb.pid"),  # beside the data: a socket's path may not be long
        *(f"--bind-address={host}", f"--port={port}", "--skip-name-resolve"),
        *("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--performance-schema=OFF"),
        *("--key-buffer-size=64K", "--aria-pagecache-buffer-size=1M"),
        "--innodb-temp-data-file-path=ibtmp1:2M:autoextend",
    ]
    command = [sys.executable, "-m", "local.mariadb", str(home), *server]
    return Program("mariadb", command, environment, partial(checks.speaks, port, host), port)


def initialise(home: Path) -> None:
    """Makes the data folder, whole or not at all."""
    draft = home / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    subprocess.run(
        [
            *("mariadb-install-db", "--no-defaults", *_as_user(), f"--datadir={draft}", f"--tmpdir={home / 'tmp'}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M"),
        ],
        check=True,
    )
    draft.rename(home / "data")


def _as_user() -> list[str]:
    # It refuses to run as root unless told that this is meant.
    return ["--user=root"] if os.geteuid() == 0 else []


if __name__ == "__main__":
    if not (Path(sys.argv[1]) / "data").exists():
        initialise(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted
