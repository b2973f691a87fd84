"""The gateway's own refusals: what upload's check says, bodies over the limit, and what is no request at all."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from tests.gateway import Gateway, call, gateway, is_problem
from tests.upstream import says

LIMIT = 1_000_000


@pytest.fixture(scope="module")
def nginx() -> Iterator[Gateway]:
    with gateway(LIMIT) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(nginx: Gateway) -> None:
    nginx.reset()


def raw(nginx: Gateway, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_uploads_check_sees_the_headers_and_never_the_body(nginx: Gateway) -> None:
    forged = {"X_Original_Length": "1", "X_Original_Type": "video/x"}
    call(nginx, "POST", "/v1/jobs", b"x" * 5000, Authorization="Bearer t", Content_Type="video/mp4", **forged)

    check, upload = nginx.functions["upload"].seen
    assert (check.method, check.path, check.body_length) == ("GET", "/check", 0)
    assert check.headers["X-Original-Length"] == "5000"
    assert check.headers["X-Original-Type"] == "video/mp4"
    assert check.headers["Authorization"] == "Bearer t"
    assert not {"Content-Length", "Transfer-Encoding"} & set(check.headers)
    assert (upload.path, upload.body_length) == ("/v1/jobs", 5000)


@pytest.mark.parametrize("challenge", ['Bearer realm="x", error="invalid_token"', None])
def test_a_401_of_the_check_is_a_problem_with_one_challenge(nginx: Gateway, challenge: str | None) -> None:
    challenges = {"WWW_Authenticate": challenge} if challenge else {}
    nginx.functions["upload"].answers["/check"] = says(401, b"no", X_Problem="token_invalid", **challenges)

    status, headers, body = call(nginx, "POST", "/upload", b"x" * 5000)

    assert status == 401
    assert is_problem(status, headers, body, "token_invalid")
    assert headers.get_all("WWW-Authenticate") == [challenge or 'Bearer realm="video-to-mp3"']
    assert [seen.path for seen in nginx.functions["upload"].seen] == ["/check"]


@pytest.mark.parametrize("status", [409, 413, 415, 429, 507])
def test_a_403_of_the_check_becomes_the_status_that_it_names(nginx: Gateway, status: int) -> None:
    code = "too_large" if status == 413 else "some_code"
    nginx.functions["upload"].answers["/check"] = says(403, b"", X_Refusal=str(status), X_Problem=code)

    answered, headers, body = call(nginx, "POST", "/v1/jobs", b"x")

    assert answered == status
    assert is_problem(status, headers, body, code)


def test_a_403_of_the_check_without_a_status_stays_one(nginx: Gateway) -> None:
    nginx.functions["upload"].answers["/check"] = says(403, b"")

    status, headers, body = call(nginx, "POST", "/v1/jobs", b"x")

    assert status == 403
    assert is_problem(status, headers, body, "refused")


def test_a_refused_client_that_asks_first_is_not_told_to_go_on(nginx: Gateway) -> None:
    nginx.functions["upload"].answers["/check"] = says(401, b"", X_Problem="token_missing")
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\nExpect: 100-continue\r\n\r\n"

    with socket.create_connection(("127.0.0.1", nginx.port), timeout=30) as connection:
        connection.sendall(head)
        first = connection.recv(65536)

    assert first.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(("path", "length"), [("/v1/jobs", LIMIT + 1), ("/v1/tokens", 65537), ("/validate", LIMIT)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_too_large(nginx: Gateway, path: str, length: int, chunked: bool) -> None:
    connection = HTTPConnection("127.0.0.1", nginx.port, timeout=30)
    pieces = (b"x" * min(100_000, length - start) for start in range(0, length, 100_000))
    connection.request("POST", path, pieces if chunked else b"x" * length, encode_chunked=chunked)
    response = connection.getresponse()

    assert response.status == 413
    assert is_problem(413, response.headers, response.read(), "too_large")
    connection.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_full_storage_reaches_the_client_as_upload_says_it(nginx: Gateway, chunked: bool) -> None:
    own = b'{"code":"storage_full"}'
    nginx.functions["upload"].answers["/v1/jobs"] = says(507, own, Retry_After="60")
    connection = HTTPConnection("127.0.0.1", nginx.port, timeout=30)
    pieces = (b"x" * 100_000 for _ in range(LIMIT // 100_000))
    connection.request("POST", "/v1/jobs", pieces if chunked else b"x" * LIMIT, encode_chunked=chunked)
    response = connection.getresponse()

    assert (response.status, response.headers["Retry-After"], response.read()) == (507, "60", own)
    assert nginx.functions["upload"].seen[-1].body_length == LIMIT
    connection.close()


def test_a_body_of_just_the_limit_passes(nginx: Gateway) -> None:
    status, _, _ = call(nginx, "POST", "/v1/jobs", b"x" * LIMIT)

    assert status == 200
    assert nginx.functions["upload"].seen[-1].body_length == LIMIT


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"rubbish\r\n\r\n", 400, "malformed_request"),
        (b"GET /v1/jobs HTTP/1.1\r\n\r\n", 400, "malformed_request"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
        (b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n", 501, "not_implemented"),
        (b"GET /v1/jobs HTTP/3.0\r\nHost: x\r\n\r\n", 505, "version_not_supported"),
    ],
)
def test_what_is_no_request_for_anyone_gets_a_problem_too(
    nginx: Gateway, request_: bytes, status: int, code: str
) -> None:
    answer = raw(nginx, request_)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"content-type: application/problem+json" in head.lower()
    assert b"server: nginx\r\n" in head.lower() + b"\r\n"
    assert json.loads(body)["code"] == code
    assert json.loads(body)["status"] == status
