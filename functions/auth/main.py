"""Auth: accounts in MySQL, and the tokens that every other function believes.

POST /v1/users                201 409 422 403 (sign-up is closed unless SIGNUP_OPEN)
POST /v1/tokens               200 401, by Basic or JSON
POST /login                   200 401, by Basic; the bare token as text, as the original answered
POST /validate                200 401, the claims of a bearer token
GET  /.well-known/jwks.json   200, for third parties
All: 400 404 405 413 415, 503 when MySQL is away.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from functions.common.deferred import Deferred
from functions.common.settings import load
from functions.common.web import Routes

if TYPE_CHECKING:
    from functions.auth.signer import Signer
    from functions.common.tokens import Verifier


@dataclass(frozen=True)
class Settings:
    """What auth needs; `token_seconds` is how long a token is good for."""

    token_private_key_file: Path
    token_keys_file: Path
    mysql_url: str = field(repr=False)
    token_seconds: int = 3600
    signup_open: bool = False


settings = load(Settings)


@Deferred
def routes() -> Routes:
    """The wiring."""
    from functions.auth import handler
    from functions.auth.users import AWAY, Users

    services = handler.Services(
        users=Users(settings.mysql_url),
        signer=signer,
        verifier=verifier,
        jwks=settings.token_keys_file,
        signup_open=settings.signup_open,
    )
    return Routes(handler.routes(services), unavailable=AWAY)


@Deferred
def signer() -> "Signer":
    """What signs tokens."""
    from functions.auth.signer import Signer

    return Signer(settings.token_private_key_file, settings.token_seconds)


@Deferred
def verifier() -> "Verifier":
    """What checks them."""
    from functions.common.tokens import Verifier

    return Verifier(settings.token_keys_file)


@functions_framework.http
def auth(request: Request) -> Response:
    """Answers one request."""
    return routes()(request)
