"""The gateway under way: large refused bodies, nothing kept on its disk, one id for a request everywhere."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway, call, gateway
from tests.upstream import Handler, says

MB = 1_000_000
LIMIT = 300 * MB
ROUNDS = 10  # of each kind of refusal


@pytest.fixture(scope="module")
def nginx() -> Iterator[Gateway]:
    with gateway(LIMIT) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(nginx: Gateway) -> None:
    nginx.reset()


def log_lines(home: Path, request_id: str) -> list[dict[str, Any]]:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        lines = [json.loads(line) for line in (home / "access.log").read_text().splitlines()]
        if found := [line for line in lines if line["request_id"] == request_id]:
            return found
        time.sleep(0.02)
    return []


def test_a_request_has_one_id_in_the_log_at_the_function_and_in_the_answer(nginx: Gateway) -> None:
    _, headers, _ = call(nginx, "POST", "/v1/tokens?a=%22", b"x")
    made = headers["X-Request-Id"]
    _, refused, _ = call(nginx, "POST", "/nowhere", b"x", X_Request_Id="from-a-client-1")
    _, other, _ = call(nginx, "GET", "/v1/jobs", X_Request_Id='no "good"')

    (line,) = log_lines(nginx.home, made)
    assert nginx.functions["auth"].seen[-1].headers["X-Request-Id"] == made
    assert (line["method"], line["path"], line["status"], line["function"]) == ("POST", "/v1/tokens?a=%22", 200, "auth")
    assert refused["X-Request-Id"] == "from-a-client-1"
    assert log_lines(nginx.home, "from-a-client-1")[0]["method"] == "POST"
    assert '"' not in other["X-Request-Id"]


def files_of_workers(nginx: Gateway) -> list[str]:
    children = Path(f"/proc/{nginx.pid}/task/{nginx.pid}/children").read_text().split()
    return [os.readlink(fd) for child in children for fd in Path(f"/proc/{child}/fd").iterdir()]


def test_a_body_reaches_the_function_while_it_is_being_sent(nginx: Gateway) -> None:
    arrived, files = threading.Event(), []

    def answer(handler: Handler) -> None:
        for _ in handler.body():
            arrived.set()
        says(202, b"")(handler)

    nginx.functions["upload"].answers["/v1/jobs"] = answer
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=30) as connection:
        connection.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 900000\r\n\r\n")
        connection.sendall(b"x" * 600_000)
        assert arrived.wait(10)
        files = files_of_workers(nginx)
        connection.sendall(b"x" * 300_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 202 ")
    assert not [file for file in files if "/temp/" in file]


def test_an_answer_reaches_the_client_while_it_is_being_made(nginx: Gateway) -> None:
    arrived = threading.Event()

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "50000006")
        handler.end_headers()
        handler.wfile.write(b"first ")
        assert arrived.wait(10)
        handler.wfile.write(b"x" * 50_000_000)

    nginx.functions["download"].answers["/v1/mp3s/1"] = answer
    connection = HTTPConnection("127.0.0.1", nginx.port, timeout=30)
    connection.request("GET", "/v1/mp3s/1")
    response = connection.getresponse()
    assert response.read(6) == b"first "
    arrived.set()
    response.read(100_000)  # a slow reader: the rest stays with the function, not on NGINX's disk
    time.sleep(0.3)
    assert not [file for file in files_of_workers(nginx) if "/temp/" in file]
    assert len(response.read()) == 49_900_000
    connection.close()


def send_300_mb(port: int, chunked: bool, length: int) -> tuple[int, str]:
    """Status and code of the answer, for a client that looks for it only when all is sent."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    block = bytes(MB)
    pieces = (block[: min(MB, length - start)] for start in range(0, length, MB))
    sized = {} if chunked else {"Content-Length": str(length)}
    try:
        connection.request("POST", "/v1/jobs", pieces, sized, encode_chunked=chunked)
        response = connection.getresponse()
        return response.status, json.loads(response.read())["code"]
    finally:
        connection.close()


NOT_MEDIA = says(415, b'{"code": "not_media"}', Content_Type="application/problem+json")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("status", "code", "length"),
    [(401, "token_invalid", LIMIT), (413, "too_large", LIMIT + 1), (415, "not_media", LIMIT)],
)
def test_a_refusal_of_300_mb_arrives_every_time(
    nginx: Gateway, status: int, code: str, length: int, chunked: bool
) -> None:
    upload = nginx.functions["upload"]
    upload.answers["/v1/jobs"] = NOT_MEDIA
    if status == 401:
        upload.answers["/check"] = says(401, b"", X_Problem=code)

    answers = [send_300_mb(nginx.port, chunked, length) for _ in range(ROUNDS)]

    assert answers == [(status, code)] * ROUNDS
