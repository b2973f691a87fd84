"""What is refused at the gateway and at upload: its own problem document, through NGINX, and nothing left behind."""

import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.account import Account
from tests.e2e.stored import Stored

HUGE = 300_000_000
PIECE = b"x" * 1_000_000
HEAD = b"\x00\x00\x00\x18ftypisom"


def body(length: int, head: bytes = b"") -> Iterator[bytes]:
    """So many bytes, without having them all in memory."""
    yield head
    left = length - len(head)
    while left:
        piece = PIECE[:left]
        left -= len(piece)
        yield piece


class Sized:
    """A body with a length, made while it is sent."""

    def __init__(self, length: int, head: bytes = b"") -> None:
        self._length, self._pieces = length, body(length, head)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def read(self, size: int) -> bytes:
        return next(self._pieces, b"")


def post(url: str, data: Any, token: str | None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(f"{url}/v1/jobs?filename=a.mp4", data=data, headers=headers, timeout=120)


@pytest.fixture
def limit(stack: Any) -> int:
    return int(stack.env("upload")["MAX_UPLOAD_BYTES"])


@pytest.mark.parametrize("way", ["sized", "chunked"])
@pytest.mark.parametrize(
    ("status", "code"), [(401, "token_missing"), (401, "token_invalid"), (413, "too_large"), (415, "not_media")]
)
@pytest.mark.timeout(600)
def test_a_refusal_of_300_mb_always_arrives(
    account: Account, stored: Stored, limit: int, status: int, code: str, way: str
) -> None:
    before = stored.counts()
    token = {"token_missing": None, "token_invalid": account.token[:-8] + "AAAAAAAA"}.get(code, account.token)
    length = limit + 70_000 if status == 413 else HUGE
    head = HEAD if status == 413 else b"just text "

    for _ in range(7):
        answer = post(account.url, Sized(length, head) if way == "sized" else body(length, head), token)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["Content-Type"] == "application/problem+json"

    stored.settles(before)


@pytest.mark.parametrize("way", ["sized", "chunked"])
def test_one_byte_too_long_is_refused_and_the_longest_file_is_not(
    account: Account, stored: Stored, limit: int, way: str
) -> None:
    before = stored.counts()

    answer = post(account.url, Sized(limit + 1, HEAD) if way == "sized" else body(limit + 1, HEAD), account.token)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    stored.settles(before)
    longest = post(account.url, Sized(limit, HEAD) if way == "sized" else body(limit, HEAD), account.token)
    assert longest.status_code == 202
    assert account.ended(longest.json()["id"])["error"]["code"] in ("corrupt", "unsupported")
    stored.settles(before | {"jobs": before["jobs"] + 1})


@pytest.mark.parametrize("data", [b"", b"just text", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"])
def test_a_small_file_that_is_no_media_is_refused(account: Account, stored: Stored, data: bytes) -> None:
    before = stored.counts()

    raw = post(account.url, data, account.token)
    form = account.call("POST", "/v1/jobs", files={"file": ("a.mp4", data)})

    for answer in (raw, form):
        assert (answer.status_code, answer.json()["code"]) == (415, "not_media")
    stored.settles(before)


def test_a_broken_form_is_refused(account: Account, clip: bytes, stored: Stored) -> None:
    before = stored.counts()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + clip

    for broken in (part, b"no boundary at all", part + b"\r\n--b"):
        answer = account.call("POST", "/v1/jobs", data=broken, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_multipart")
    stored.settles(before)


def test_a_client_that_leaves_in_the_middle_leaves_nothing(account: Account, clip: bytes, stored: Stored) -> None:
    before = stored.counts()
    address = urlsplit(account.url)
    request = (
        f"POST /v1/jobs?filename=a.mp4 HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {account.token}\r\n"
        f"Content-Length: {len(clip) * 2 + 10_000_000}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as connection:
        connection.sendall(request.encode() + clip + PIECE * 5)

    # The upload notices when the connection ends; until then its job is `uploading`.
    stored.settles(before)


@pytest.mark.parametrize("change", ["expired", "forged", "cut", "unsigned", "empty"])
def test_no_other_token_opens(account: Account, clip: bytes, stored: Stored, change: str) -> None:
    before = stored.counts()
    head, claims, signature = account.token.split(".")
    tokens = {
        "expired": "eyJhbGciOiJFZERTQSJ9.eyJleHAiOjF9.AAAA",
        "forged": f"{head}.{claims}.{signature[::-1]}",
        "cut": account.token[:-5],
        "unsigned": f"eyJhbGciOiJub25lIn0.{claims}.",
        "empty": "",
    }

    answers = [
        requests.request(method, account.url + path, headers={"Authorization": f"Bearer {tokens[change]}"}, timeout=30)
        for method, path in [
            ("POST", "/v1/jobs"),
            ("GET", "/v1/jobs"),
            ("POST", "/validate"),
            ("GET", "/download?id=x"),
        ]
    ]

    for answer in answers:
        assert answer.status_code == 401
        assert answer.json()["code"] in ("token_invalid", "token_missing")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    stored.settles(before)


def test_foreign_absent_and_malformed_ids_get_the_same_404(
    new_account: Callable[[], Account], clip: bytes, account: Account
) -> None:
    other = new_account()
    theirs = other.ended(other.upload(clip))
    absent = ("00000000-0000-4000-8000-000000000000", "0123456789abcdef01234567")
    paths = [f"/v1/jobs/{theirs['id']}", f"/v1/jobs/{absent[0]}", "/v1/jobs/x", f"/v1/mp3s/{theirs['mp3']['id']}"]
    paths += [f"/v1/mp3s/{absent[1]}", "/v1/mp3s/x", f"/download?id={theirs['mp3']['id']}", "/download"]

    answers = [account.call("GET", path) for path in paths]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


def test_two_accounts_cannot_have_one_address(account: Account) -> None:
    again = account.call("POST", "/v1/users", json={"email": account.email.upper(), "password": "another password"})

    assert (again.status_code, again.json()["code"]) == (409, "email_taken")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v2/jobs", 404, "not_found"),
        ("GET", "/check", 404, "not_found"),
        ("GET", "/v1/jobs/../../check", 404, "not_found"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/v1/tokens", 405, "method_not_allowed"),
        ("DELETE", "/download", 405, "method_not_allowed"),
        ("GET", "/upload", 405, "method_not_allowed"),
    ],
)
def test_what_there_is_not_is_told_as_a_problem(
    account: Account, method: str, path: str, status: int, code: str
) -> None:
    answer = account.call(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ("Allow" in answer.headers) == (status == 405)
