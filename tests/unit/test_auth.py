from base64 import b64encode
from typing import Any

import argon2
import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from functions.auth import handler, users
from functions.auth.signer import Signer
from functions.auth.users import BusyError
from functions.common.tokens import Verifier
from functions.common.web import Routes
from tests.clients import Keys, client
from tests.fakes import FakeUsers

PASSWORD = "correct horse"


@pytest.fixture
def accounts() -> FakeUsers:
    return FakeUsers()


@pytest.fixture
def auth(accounts: FakeUsers, token_keys: Keys) -> Client:
    return make(accounts, token_keys)


def make(accounts: FakeUsers, token_keys: Keys, signup_open: bool = True) -> Client:
    verifier = Verifier(token_keys.jwks)
    signer = Signer(token_keys.folder / "private.pem", 600)
    services = handler.Services(accounts, lambda: signer, lambda: verifier, token_keys.jwks, signup_open)  # type: ignore[arg-type]
    return client(Routes(handler.routes(services), unavailable=users.AWAY))


def basic(email: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{email}:{password}'.encode()).decode()}"}


def sign_up(auth: Client, email: str = "a@demo.example", password: str = PASSWORD) -> Any:
    return auth.post("/v1/users", json={"email": email, "password": password})


def test_an_account_is_made_and_opens_with_a_token(auth: Client) -> None:
    made = sign_up(auth, "A@Demo.Example")
    token = auth.post("/v1/tokens", json={"email": "a@demo.example", "password": PASSWORD})

    assert (made.status_code, made.json["email"]) == (201, "a@demo.example")
    assert (token.status_code, token.json["token_type"], token.json["expires_in"]) == (200, "Bearer", 600)
    claims = auth.post("/validate", headers={"Authorization": f"Bearer {token.json['access_token']}"})
    assert (claims.status_code, claims.json["sub"]) == (200, made.json["id"])
    assert token.headers["Cache-Control"] == "no-store"


def test_the_originals_login_answers_the_bare_token(auth: Client) -> None:
    sign_up(auth)

    answer = auth.post("/login", headers=basic("a@demo.example", PASSWORD))

    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert auth.post("/validate", headers={"Authorization": f"Bearer {answer.text}"}).status_code == 200


def test_a_client_that_still_sends_its_old_token_can_log_in(auth: Client) -> None:
    sign_up(auth)
    body = {"email": "a@demo.example", "password": PASSWORD}

    assert auth.post("/v1/tokens", json=body, headers={"Authorization": "Bearer old"}).status_code == 200


def test_basic_works_for_tokens_too(auth: Client) -> None:
    sign_up(auth)

    assert auth.post("/v1/tokens", headers=basic("a@demo.example", PASSWORD)).status_code == 200


def test_an_unknown_account_and_a_wrong_password_get_the_same_answer(auth: Client) -> None:
    sign_up(auth)
    answers = [
        auth.post("/v1/tokens", json={"email": "a@demo.example", "password": "wrong password"}),
        auth.post("/v1/tokens", json={"email": "b@demo.example", "password": "wrong password"}),
        auth.post("/v1/tokens", json={"email": "not an address", "password": "wrong password"}),
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json["code"] == "bad_credentials"
    assert answers[0].headers["WWW-Authenticate"].startswith("Basic")


def test_a_login_without_credentials_is_told_how(auth: Client) -> None:
    answer = auth.post("/login")

    assert (answer.status_code, answer.json["code"]) == (401, "bad_credentials")


@pytest.mark.parametrize("email", ["A@DEMO.example", " a@demo.example", "a@demo.example "])
def test_an_address_has_one_account_however_it_is_written(auth: Client, email: str) -> None:
    sign_up(auth)

    answer = sign_up(auth, email)

    assert (answer.status_code, answer.json["code"]) == (409, "email_taken")


@pytest.mark.parametrize(
    "email",
    ["", "a", "a@", "@b.example", "a@b", "a b@demo.example", "a@demo.example, b@demo.example", "ä@demo.example"],
)
def test_what_is_no_address_is_refused(auth: Client, email: str) -> None:
    answer = sign_up(auth, email)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_email")


def test_a_weak_password_is_refused(auth: Client) -> None:
    answer = sign_up(auth, password="short")

    assert (answer.status_code, answer.json["code"]) == (422, "weak_password")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_request"),
        (b"[]", "application/json", 400, "malformed_request"),
        (b"{}", "application/json", 400, "malformed_request"),
        (b'{"email": 1, "password": {"$gt": ""}}', "application/json", 400, "malformed_request"),
        (b'{"email": "a@demo.example", "password": "\\u0000 or longer"}', "application/json", 400, "malformed_request"),
        (b'{"email": "a@demo.example", "password": "\\ud800 or longer"}', "application/json", 400, "malformed_request"),
        (b"[" * 10_000, "application/json", 400, "malformed_request"),
        (b"email=a", "application/x-www-form-urlencoded", 415, "unsupported_type"),
        (b'"' + b"x" * 20_000 + b'"', "application/json", 413, "too_large"),
    ],
)
def test_a_malformed_body_is_refused(auth: Client, body: bytes, content_type: str, status: int, code: str) -> None:
    answer = auth.post("/v1/users", data=body, content_type=content_type)

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.mimetype == "application/problem+json"


def test_sign_up_is_closed_unless_it_was_opened(accounts: FakeUsers, token_keys: Keys) -> None:
    answer = sign_up(make(accounts, token_keys, signup_open=False))

    assert (answer.status_code, answer.json["code"]) == (403, "signup_closed")


@pytest.mark.parametrize("error", [pymysql.err.OperationalError(2003, "secret host"), BusyError()])
def test_mysql_away_or_too_busy_is_503_and_tells_nothing(auth: Client, accounts: FakeUsers, error: Exception) -> None:
    accounts.error = error

    for answer in (sign_up(auth), auth.post("/login", headers=basic("a@demo.example", PASSWORD))):
        assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "secret" not in answer.text


def test_an_unexpected_error_is_500_and_tells_nothing(auth: Client, accounts: FakeUsers) -> None:
    accounts.error = RuntimeError("secret")

    answer = sign_up(auth)

    assert (answer.status_code, answer.json["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_the_public_keys_are_there_for_third_parties(auth: Client) -> None:
    answer = auth.get("/.well-known/jwks.json")

    assert answer.status_code == 200
    assert "d" not in answer.json["keys"][0]
    assert "max-age" in answer.headers["Cache-Control"]


def test_unknown_paths_and_wrong_methods_are_told_apart(auth: Client) -> None:
    unknown, wrong = auth.get("/v1/nothing"), auth.get("/v1/tokens")

    assert (unknown.status_code, unknown.json["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json["code"], wrong.headers["Allow"]) == (405, "method_not_allowed", "POST")


@given(st.emails())
def test_a_login_finds_an_address_in_the_spelling_that_sign_up_kept(email: str) -> None:
    try:
        kept = users.normalise(email)
    except users.InvalidEmailError:
        return

    assert users.spelling(email) == users.spelling(f" {email.upper()} ") == kept


def test_a_login_finds_an_address_with_an_international_domain() -> None:
    kept = users.normalise("a@bücher.example")

    assert kept == "a@xn--bcher-kva.example"
    assert users.spelling("A@BÜCHER.example") == users.spelling(kept) == kept


def test_the_hash_for_nobody_costs_as_much_as_a_real_one() -> None:
    real, nobody = (argon2.extract_parameters(hash_) for hash_ in (users._hasher.hash("x"), users.NOBODY))

    assert (real.memory_cost, real.time_cost, real.parallelism) == (19_456, 2, 1)
    assert (nobody.memory_cost, nobody.time_cost, nobody.parallelism) == (19_456, 2, 1)
    assert not users._matches(users.NOBODY, "")
