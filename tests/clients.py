"""A test client for the routes of one function, and keys and tokens to knock with."""

import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Request
from werkzeug.test import Client

from functions.auth import keys
from functions.common.tokens import AUDIENCE, ISSUER
from functions.common.web import Routes


def client(routes: Routes) -> Client:
    """Calls `routes` as a server would."""

    def application(environ: Any, start_response: Any) -> Any:
        return routes(Request(environ))(environ, start_response)

    return Client(application)


class Keys:
    """A key pair in `folder`, and tokens signed with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        keys.new(folder)
        self.private: Ed25519PrivateKey = keys.load_private(folder / "private.pem")
        self.jwks = folder / "jwks.json"

    def token(self, owner: str = "owner-1", *, key: Any = None, algorithm: str = "EdDSA", **changes: Any) -> str:
        """A valid token, but for `changes`: claims to replace, or to leave out with None; `typ` and `kid` likewise."""
        now = int(time.time())
        claims = {
            "sub": owner,
            "email": f"{owner}@demo.example",
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 600,
        }
        header = {"typ": "at+jwt", "kid": keys.public_jwk(self.private)["kid"]}
        for name, value in changes.items():
            (header if name in header else claims)[name] = value
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {name: value for name, value in header.items() if value is not None}
        return jwt.encode(claims, key or self.private, algorithm, headers=header)

    def bearer(self, owner: str = "owner-1", **changes: Any) -> dict[str, str]:
        """The header that carries such a token."""
        return {"Authorization": f"Bearer {self.token(owner, **changes)}"}
