"""Renders the second definitions document: the broker's accounts and their rights, from their passwords.

`python rights.py FOLDER > accounts.json`; FOLDER holds a file for each account, named after it, with its password: a
mounted secret. The document holds salted hashes instead. definitions.json holds the rest; a broker loads both, in any
order. Nobody but the broker's administrator may declare or delete anything.
"""

import base64
import hashlib
import json
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VHOST = "/"
NOTHING = "^$"
SALT_BYTES = 4  # RabbitMQ takes the first four bytes of a hash for its salt
ALGORITHM = "rabbit_password_hashing_sha256"


@dataclass(frozen=True)
class Rights:
    """The exchanges that an account may publish to, and the queues that it may take from."""

    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


ACCOUNTS = {
    "upload": Rights(write=("video",)),
    "convert": Rights(write=("mp3",)),
    "janitor": Rights(write=("video", "mp3", "retry", "parked"), read=("video.retry", "mp3.retry")),
    "source": Rights(read=("video", "mp3")),
}


def render(passwords: Mapping[str, str]) -> dict[str, Any]:
    """The document for all of ACCOUNTS. Raises ValueError when one has no password, or somebody else has one."""
    if lacking := [name for name in ACCOUNTS if not passwords.get(name)]:
        raise ValueError(f"no password for {', '.join(lacking)}")
    if strangers := sorted(set(passwords) - set(ACCOUNTS)):
        raise ValueError(f"no such account: {', '.join(strangers)}")
    return {
        "vhosts": [{"name": VHOST}],  # a right names it, and this document may be the first to be loaded
        "users": [user(name, passwords[name]) for name in ACCOUNTS],
        "permissions": [
            permission(name, write=_only(rights.write), read=_only(rights.read)) for name, rights in ACCOUNTS.items()
        ],
    }


def user(name: str, password: str) -> dict[str, Any]:
    """An account without access to the management interface."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    return {"name": name, "password_hash": digest, "hashing_algorithm": ALGORITHM, "tags": []}


def permission(name: str, configure: str = NOTHING, write: str = NOTHING, read: str = NOTHING) -> dict[str, str]:
    """What the account `name` may do to whatever these patterns find."""
    return {"user": name, "vhost": VHOST, "configure": configure, "write": write, "read": read}


def _only(names: tuple[str, ...]) -> str:
    # RabbitMQ looks for the pattern anywhere in a name: without anchors `video` would be found in `video.retry`.
    return f"^({'|'.join(map(re.escape, names))})$" if names else NOTHING


def main() -> None:
    """Prints the document; ends with a message and status 1 when a password is missing."""
    if len(sys.argv) != 2:
        sys.exit("usage: python rights.py FOLDER")
    files = {name: Path(sys.argv[1]) / name for name in ACCOUNTS}
    try:
        passwords = {name: file.read_text(encoding="utf-8").strip() for name, file in files.items() if file.exists()}
        print(json.dumps(render(passwords), indent=2))
    except (OSError, ValueError) as error:
        sys.exit(f"rights: {error}")


if __name__ == "__main__":
    main()
