"""The passwords of this home's private servers: random, made once, readable by their owner alone."""

import json
import os
import secrets
from pathlib import Path


def load(file: Path, names: list[str]) -> dict[str, str]:
    """The password for each of `names`, made where there is none yet."""
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    if missing := [name for name in names if name not in known]:
        known |= {name: secrets.token_urlsafe(24) for name in missing}
        write_private(file, json.dumps(known, indent=2))
    return known


def write_private(file: Path, text: str) -> None:
    """Replaces `file` by one that only its owner may read."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        target.write(text)
    draft.replace(file)
