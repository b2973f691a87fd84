"""Access tokens: EdDSA JWTs that auth alone can sign and every other function verifies from a mounted key file.

After RFC 8725 and RFC 9068: algorithm, type, issuer and audience are pinned, expiry and subject required. No key is
ever fetched over HTTP, so nothing needs auth to be awake.
"""

import json
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from flask import Request
from jwt import PyJWK

from functions.common.web import REALM, Problem

log = logging.getLogger(__name__)

ISSUER = AUDIENCE = REALM
TYPE = "at+jwt"
ALGORITHM = "EdDSA"
LEEWAY_SECONDS = 30
REREAD_SECONDS = 30.0  # so a new key must be published for longer than this before it signs
_LONGEST = 4096  # characters; ours have about 500


@dataclass(frozen=True)
class Account:
    """Whose request it is: the account's opaque id and its address, both from the signed token."""

    id: str
    email: str


class InvalidTokenError(Exception):
    """The token is not one of ours, or no longer valid."""


class Verifier:
    """Checks tokens against the JWKS in `path`; looked at again after REREAD_SECONDS, when next used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._keys = _read(path)
        self._looked = time.monotonic()

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a valid token. Raises InvalidTokenError."""
        try:
            if len(token) > _LONGEST:
                raise InvalidTokenError
            header = jwt.get_unverified_header(token)
            key = self._key(header.get("kid"))
            if key is None or header.get("typ") != TYPE:
                raise InvalidTokenError
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub", "iss", "aud"], "strict_aud": True},
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise InvalidTokenError from error
        if not isinstance(claims.get("email"), str):
            raise InvalidTokenError
        return claims

    def account(self, request: Request) -> Account:
        """The account behind the request's bearer token. Raises the 401 problem."""
        claims = self.request_claims(request)
        return Account(claims["sub"], claims["email"])

    def request_claims(self, request: Request) -> dict[str, Any]:
        """The claims of the request's bearer token. Raises the 401 problem."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise _refusal("token_missing", "Send an access token: Authorization: Bearer ...", "")
        try:
            return self.claims(token.strip())
        except InvalidTokenError:
            raise _refusal(
                "token_invalid", "The access token is not valid, or no longer: log in again.", ', error="invalid_token"'
            ) from None

    def _key(self, kid: object) -> PyJWK | None:
        with self._lock:
            if time.monotonic() - self._looked >= REREAD_SECONDS:
                self._look()
            return self._keys.get(kid)

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            self._keys = _read(self._path)
        except (OSError, ValueError, jwt.PyJWTError):
            log.exception("the token keys could not be read again; the old ones stay")


def _refusal(code: str, detail: str, parameters: str) -> Problem:
    return Problem(401, code, detail, {"WWW-Authenticate": f'Bearer realm="{REALM}"{parameters}'})


def _read(path: Path) -> dict[object, PyJWK]:
    keys = json.loads(path.read_text(encoding="utf-8"))["keys"]
    return {key["kid"]: PyJWK(key, ALGORITHM) for key in keys}
