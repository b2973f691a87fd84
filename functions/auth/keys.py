"""Token keys: `python -m functions.auth.keys new|next|switch|prune DIR`.

`new` makes DIR/private.pem (auth alone may read it) and DIR/jwks.json (public, every function mounts it), or leaves
what is there. Rotation in three steps: `next` publishes a second public key; after five minutes `switch` signs with
it; after the longest token's life `prune` takes the old public key away.
"""

import json
import os
import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from functions.common.tokens import ALGORITHM


class KeyFileError(Exception):
    """A key file is missing, or not what it should be."""


def load_private(path: Path) -> Ed25519PrivateKey:
    """The signing key in `path`. Raises KeyFileError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is not an Ed25519 key")
    return key


def public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half as a JWK; its `kid` is its thumbprint (RFC 7638), so it follows from the key alone."""
    jwk = cast(dict[str, str], OKPAlgorithm.to_jwk(key.public_key(), as_dict=True))
    canonical = json.dumps({name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
    thumbprint = urlsafe_b64encode(sha256(canonical.encode()).digest()).rstrip(b"=").decode()
    return {**jwk, "kid": thumbprint, "use": "sig", "alg": ALGORITHM}


def new(folder: Path) -> None:
    """A first key pair, unless there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "private.pem").exists():
        _publish(folder, [public_jwk(_make(folder / "private.pem"))])


def prepare_next(folder: Path) -> None:
    """A second key pair, published but not yet signing."""
    _publish(folder, [*_published(folder), public_jwk(_make(folder / "next.pem"))])


def switch(folder: Path) -> None:
    """The second key signs from auth's next start on."""
    (folder / "next.pem").replace(folder / "private.pem")


def prune(folder: Path) -> None:
    """Only the signing key stays published."""
    _publish(folder, [public_jwk(load_private(folder / "private.pem"))])


def _make(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return key


def _published(folder: Path) -> list[dict[str, str]]:
    keys: list[dict[str, str]] = json.loads((folder / "jwks.json").read_text())["keys"]
    return keys


def _publish(folder: Path, keys: list[dict[str, str]]) -> None:
    draft = folder / "jwks.json.new"
    draft.write_text(json.dumps({"keys": keys}, indent=2) + "\n")
    draft.replace(folder / "jwks.json")


_STEPS = {"new": new, "next": prepare_next, "switch": switch, "prune": prune}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in _STEPS:
        sys.exit(f"usage: python -m functions.auth.keys {'|'.join(_STEPS)} DIR")
    try:
        _STEPS[sys.argv[1]](Path(sys.argv[2]))
    except (KeyFileError, OSError) as error:
        sys.exit(str(error))
