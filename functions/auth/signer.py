"""Signs access tokens; the only code that holds the private key."""

import time
from pathlib import Path

import jwt

from functions.auth.keys import load_private, public_jwk
from functions.auth.users import User
from functions.common.tokens import ALGORITHM, AUDIENCE, ISSUER, TYPE


class Signer:
    """Signs with the key in `path` tokens that are good for `seconds`. Raises KeyFileError."""

    def __init__(self, path: Path, seconds: int) -> None:
        self._key = load_private(path)
        self._header = {"typ": TYPE, "kid": public_jwk(self._key)["kid"]}
        self.seconds = seconds

    def token(self, user: User) -> str:
        """A token for `user`, from now on."""
        issued = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.id,
            "email": user.email,
            "iat": issued,
            "exp": issued + self.seconds,
        }
        return jwt.encode(claims, self._key, ALGORITHM, headers=self._header)
