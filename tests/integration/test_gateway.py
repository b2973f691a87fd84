"""The gateway's template in a real NGINX: where requests go, and how answers come back."""

from collections.abc import Iterator

import pytest

from tests.gateway import Gateway, call, gateway, is_problem
from tests.upstream import says

LIMIT = 1_000_000
ID = "7e3b0c1e-26a5-4d19-9e0e-1a5f2f0e6a10"


@pytest.fixture(scope="module")
def nginx() -> Iterator[Gateway]:
    with gateway(LIMIT) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(nginx: Gateway) -> None:
    nginx.reset()


ROUTES = [
    ("POST", "/v1/users", "auth"),
    ("POST", "/v1/tokens", "auth"),
    ("POST", "/login", "auth"),
    ("POST", "/validate", "auth"),
    ("GET", "/.well-known/jwks.json", "auth"),
    ("POST", "/v1/jobs", "upload"),
    ("POST", "/v1/jobs?filename=a%20b.mp4", "upload"),
    ("POST", "/upload", "upload"),
    ("GET", "/v1/jobs", "download"),
    ("GET", "/v1/jobs?limit=2&cursor=x%2Fy", "download"),
    ("GET", f"/v1/jobs/{ID}", "download"),
    ("GET", "/v1/jobs/no%20id%2F..", "download"),
    ("DELETE", f"/v1/jobs/{ID}", "download"),
    ("GET", "/v1/mp3s/0123456789ab0123456789ab", "download"),
    ("HEAD", "/v1/mp3s/0123456789ab0123456789ab", "download"),
    ("GET", "/download?id=0123456789ab0123456789ab", "download"),
    ("HEAD", "/download?fid=0123456789ab0123456789ab", "download"),
]


@pytest.mark.parametrize(("method", "path", "function"), ROUTES)
def test_a_request_reaches_its_function_as_it_was_written(
    nginx: Gateway, method: str, path: str, function: str
) -> None:
    status, headers, _ = call(nginx, method, path, b"{}" if method == "POST" else None)

    seen = nginx.functions[function].seen[-1]
    assert status == 200
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert (seen.method, seen.path) == (method, path)
    assert seen.body_length == (2 if method == "POST" else 0)
    assert seen.headers["Host"] == f"{function}.demo.svc.cluster.local"
    assert seen.headers["X-Forwarded-Host"] == f"127.0.0.1:{nginx.port}"
    assert seen.headers["X-Forwarded-For"] == "127.0.0.1"
    assert seen.headers["X-Forwarded-Proto"] == "http"


UNKNOWN = [
    "/",
    "/v1",
    "/v1/jobs/",
    "/v1/jobs/a/b",
    "/v1/usersx",
    "/check",
    "/upload/../check",
    "//v1/jobs",
    "/-/upload",
]


@pytest.mark.parametrize("path", [*UNKNOWN, "/-/check", "/-/problem", "/-/", "/metrics", "/V1/jobs", "/v1/jobs%3F"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_not_found_and_reaches_nobody(nginx: Gateway, method: str, path: str) -> None:
    status, headers, body = call(nginx, method, path, b"x" * 5000 if method == "POST" else None)

    assert status == 404
    assert is_problem(status, headers, body, "not_found")
    assert not any(upstream.seen for upstream in nginx.functions.values())


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/users", "POST"),
        ("PUT", "/login?x", "POST"),
        ("POST", "/.well-known/jwks.json", "GET, HEAD"),
        ("PUT", "/v1/jobs", "GET, HEAD, POST"),
        ("POST", f"/v1/jobs/{ID}", "DELETE, GET, HEAD"),
        ("PATCH", "/v1/mp3s/1", "GET, HEAD"),
        ("OPTIONS", "/download", "GET, HEAD"),
        ("TRACE", "/upload", "POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(nginx: Gateway, method: str, path: str, allow: str) -> None:
    status, headers, body = call(nginx, method, path)

    assert status == 405
    assert headers["Allow"] == allow
    assert is_problem(status, headers, body, "method_not_allowed")


OWN = [200, 202, 204, 400, 401, 403, 404, 409, 410, 411, 415, 416, 422, 500, 507]


@pytest.mark.parametrize("status", OWN)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/users"])
def test_what_a_function_says_passes_unchanged(nginx: Gateway, path: str, status: int) -> None:
    own = says(status, b'{"code":"its_own"}', Content_Type="application/problem+json", WWW_Authenticate="Basic")
    nginx.functions["upload" if path == "/v1/jobs" else "auth"].answers[path] = own

    answered, headers, body = call(nginx, "POST", path, b"x")

    assert answered == status
    assert headers.get_all("WWW-Authenticate") == ["Basic"]
    assert body == (b"" if status == 204 else b'{"code":"its_own"}')


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/jobs"), ("GET", "/v1/jobs"), ("POST", "/login")])
def test_what_the_platform_says_when_it_fails_becomes_a_503_problem(
    nginx: Gateway, method: str, path: str, status: int
) -> None:
    for upstream in nginx.functions.values():
        upstream.answers[path] = says(status, b"no healthy upstream", Content_Type="text/plain")

    answered, headers, body = call(nginx, method, path)

    assert answered == 503
    assert headers["Retry-After"] == "5"
    assert is_problem(503, headers, body, "unavailable")


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_check_that_fails_becomes_a_503_problem(nginx: Gateway, status: int) -> None:
    nginx.functions["upload"].answers["/check"] = says(status, b"")

    answered, headers, body = call(nginx, "POST", "/upload", b"x")

    assert answered == 503
    assert headers["Retry-After"] == "5"
    assert is_problem(503, headers, body, "unavailable")


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/jobs"), ("GET", "/v1/jobs"), ("POST", "/login")])
def test_a_function_that_is_away_becomes_a_503_problem(method: str, path: str) -> None:
    with gateway(LIMIT) as lonely:
        for upstream in lonely.functions.values():
            upstream.shutdown()
            upstream.server_close()
        status, headers, body = call(lonely, method, path, b"x")

    assert status == 503
    assert headers["Retry-After"] == "5"
    assert is_problem(503, headers, body, "unavailable")


def test_ranges_pass_both_ways(nginx: Gateway) -> None:
    nginx.functions["download"].answers["/v1/mp3s/1"] = says(
        206, b"cd", Content_Range="bytes 2-3/6", ETag='"e"', Accept_Ranges="bytes"
    )

    status, headers, body = call(nginx, "GET", "/v1/mp3s/1", Range="bytes=2-3", If_Range='"e"', If_None_Match='"f"')

    seen = nginx.functions["download"].seen[-1].headers
    assert (status, body) == (206, b"cd")
    assert (headers["Content-Range"], headers["ETag"], headers["Accept-Ranges"]) == ("bytes 2-3/6", '"e"', "bytes")
    assert (seen["Range"], seen["If-Range"], seen["If-None-Match"]) == ("bytes=2-3", '"e"', '"f"')


def test_head_keeps_the_length(nginx: Gateway) -> None:
    nginx.functions["download"].answers["/download"] = says(200, b"x" * 1234)

    status, headers, body = call(nginx, "HEAD", "/download?id=1")

    assert (status, headers["Content-Length"], body) == (200, "1234", b"")
