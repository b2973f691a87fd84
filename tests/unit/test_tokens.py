"""Which tokens open, and that nothing else does."""

import json
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from functions.auth import keys
from functions.common import tokens
from functions.common.tokens import InvalidTokenError, Verifier
from tests.clients import Keys


@pytest.fixture
def verifier(token_keys: Keys) -> Verifier:
    return Verifier(token_keys.jwks)


def test_our_own_token_opens(verifier: Verifier, token_keys: Keys) -> None:
    claims = verifier.claims(token_keys.token("someone"))

    assert (claims["sub"], claims["email"]) == ("someone", "someone@demo.example")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sub": 7},
        {"email": None},
        {"email": ["a@demo.example"]},
        {"iss": None},
        {"iss": "video-to-mp3.example"},
        {"aud": None},
        {"aud": "other"},
        {"aud": ["video-to-mp3"]},
        {"nbf": 4_102_444_800},
        {"typ": "JWT"},
        {"typ": None},
        {"kid": None},
        {"kid": "unknown"},
        {"kid": "../../private.pem"},
        {"key": Ed25519PrivateKey.generate()},
    ],
    ids=str,
)
def test_a_token_with_one_thing_wrong_does_not(verifier: Verifier, token_keys: Keys, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        verifier.claims(token_keys.token(**changes))


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_the_public_key_does_not_serve_as_a_shared_secret(verifier: Verifier, token_keys: Keys, algorithm: str) -> None:
    public = token_keys.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    with pytest.raises(InvalidTokenError):
        verifier.claims(token_keys.token(key=public * 2, algorithm=algorithm))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "...", "é.é.é", "a" * 100_000])
def test_what_is_no_token_does_not(verifier: Verifier, token: str) -> None:
    with pytest.raises(InvalidTokenError):
        verifier.claims(token)


def test_an_unsigned_token_does_not(verifier: Verifier, token_keys: Keys) -> None:
    head, body, _ = token_keys.token().split(".")
    header = {"alg": "none", "typ": "at+jwt", "kid": keys.public_jwk(token_keys.private)["kid"]}
    unsigned = urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    for forged in (f"{head}.{body}.", f"{unsigned}.{body}."):
        with pytest.raises(InvalidTokenError):
            verifier.claims(forged)


def test_a_flipped_bit_anywhere_closes_it(verifier: Verifier, token_keys: Keys) -> None:
    token = token_keys.token()
    for place in range(0, len(token) - 1, 7):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(InvalidTokenError):
            verifier.claims(changed)


def test_a_rotation_refuses_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "keys"
    old = Keys(folder)
    verifier = Verifier(folder / "jwks.json")
    monkeypatch.setattr(tokens, "REREAD_SECONDS", 0)
    before = old.token()

    keys.prepare_next(folder)
    assert verifier.claims(before)
    keys.switch(folder)
    after = Keys(folder).token()
    assert verifier.claims(before)
    assert verifier.claims(after)
    keys.prune(folder)

    assert verifier.claims(after)
    with pytest.raises(InvalidTokenError):
        verifier.claims(before)


def test_keys_are_made_once_and_the_private_one_is_private(tmp_path: Path) -> None:
    keys.new(tmp_path)
    first = (tmp_path / "private.pem").read_bytes()
    keys.new(tmp_path)

    assert (tmp_path / "private.pem").read_bytes() == first
    assert (tmp_path / "private.pem").stat().st_mode & 0o077 == 0
    assert "d" not in json.loads((tmp_path / "jwks.json").read_text())["keys"][0]


def test_unreadable_new_keys_leave_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Keys(tmp_path)
    verifier = Verifier(pair.jwks)
    monkeypatch.setattr(tokens, "REREAD_SECONDS", 0)
    pair.jwks.write_text("{")

    assert verifier.claims(pair.token())
