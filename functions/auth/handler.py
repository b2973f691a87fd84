"""What auth does: makes accounts, checks passwords, signs tokens."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Request
from werkzeug.datastructures import Authorization
from werkzeug.wrappers import Response

from functions.auth.users import (
    PASSWORD_CHARACTERS,
    BusyError,
    EmailTakenError,
    InvalidEmailError,
    User,
    Users,
    WeakPasswordError,
)
from functions.common.web import REALM, Problem, Route, Unavailable, answer, json_object

if TYPE_CHECKING:
    from functions.auth.signer import Signer
    from functions.common.tokens import Verifier

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Services:
    """What auth works with; what needs the cryptography is imported while the first password is being checked."""

    users: Users
    signer: "Callable[[], Signer]"
    verifier: "Callable[[], Verifier]"
    jwks: Path
    signup_open: bool


def routes(services: Services) -> list[Route]:
    """The calls that auth answers."""
    return [
        ("POST", "/v1/users", partial(sign_up, services)),
        ("POST", "/v1/tokens", partial(issue, services)),
        ("POST", "/login", partial(login, services)),
        ("POST", "/validate", partial(validate, services)),
        ("GET", "/.well-known/jwks.json", partial(jwks, services)),
    ]


def sign_up(services: Services, request: Request) -> Response:
    """A new account."""
    if not services.signup_open:
        raise Problem(403, "signup_closed", "Accounts are made by whoever runs this service.")
    email, password = _pair(json_object(request))
    try:
        user = services.users.add(email, password)
    except InvalidEmailError as error:
        raise Problem(422, "invalid_email", str(error)) from None
    except WeakPasswordError:
        shortest, longest = PASSWORD_CHARACTERS.start, PASSWORD_CHARACTERS.stop - 1
        raise Problem(422, "weak_password", f"A password has {shortest} to {longest} characters.") from None
    except EmailTakenError:
        raise Problem(409, "email_taken", "There is an account with this address.") from None
    except BusyError:
        raise Unavailable from None
    log.info("account made", extra={"account": user.id})
    return answer({"id": user.id, "email": user.email}, 201)


def issue(services: Services, request: Request) -> Response:
    """A token, for credentials as JSON or by Basic."""
    if request.mimetype == "application/json":
        user = _check(services, *_pair(json_object(request)))
    else:
        user = _basic(services, request.authorization)
    signer = services.signer()
    return answer({"access_token": signer.token(user), "token_type": "Bearer", "expires_in": signer.seconds})


def login(services: Services, request: Request) -> Response:
    """The original's login: Basic in, the bare token out."""
    user = _basic(services, request.authorization)
    token = services.signer().token(user)
    return Response(token, headers={"Cache-Control": "no-store"}, content_type="text/plain; charset=utf-8")


def validate(services: Services, request: Request) -> Response:
    """The claims of the bearer token."""
    return answer(services.verifier().request_claims(request))


def jwks(services: Services, request: Request) -> Response:
    """The public keys, for third parties; read anew, so that a rotation shows."""
    keys: dict[str, Any] = json.loads(services.jwks.read_text(encoding="utf-8"))
    return answer(keys, headers={"Cache-Control": "public, max-age=300"})


def _pair(body: dict[str, Any]) -> tuple[str, str]:
    email, password = body.get("email"), body.get("password")
    if not isinstance(email, str) or not isinstance(password, str):
        raise Problem(400, "malformed_request", "Send an object with the texts `email` and `password`.")
    if not (email + password).isprintable():
        raise Problem(400, "malformed_request", "Address and password may not hold control characters.")
    return email, password


def _basic(services: Services, sent: Authorization | None) -> User:
    if sent is None or sent.type != "basic":
        raise _refusal("Log in with Basic authentication: your address and password.")
    return _check(services, sent.username or "", sent.password or "")


def _check(services: Services, email: str, password: str) -> User:
    try:
        user = services.users.check(email, password)
    except BusyError:
        raise Unavailable from None
    if user is None:
        log.info("login refused")
        raise _refusal("The address or the password is wrong.")
    return user


def _refusal(detail: str) -> Problem:
    return Problem(401, "bad_credentials", detail, {"WWW-Authenticate": f'Basic realm="{REALM}", charset="UTF-8"'})
