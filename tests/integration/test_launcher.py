"""Every function as a process: it starts, names what it lacks, and keeps refused bodies out of memory."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from functions.common import serve
from local.ports import choose
from tests.clients import Keys
from tests.converting import eventually

ROOT = Path(__file__).parents[2]
NAMES = tuple(serve.LIMITS)
NOWHERE = "127.0.0.1:1"  # nothing listens there: a function starts without its dependencies


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    keys = Keys(tmp_path_factory.mktemp("keys"))
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOST": "127.0.0.1",
        "MYSQL_URL": f"mysql://u:p@{NOWHERE}/auth",
        "MONGO_URL": f"mongodb://{NOWHERE}/video?w=majority&journal=true",
        "RABBITMQ_URL": f"amqp://u:p@{NOWHERE}/%2F",
        "SMTP_URL": f"smtp://{NOWHERE}?tls=none",
        "MAIL_FROM": "mp3@demo.example",
        "TOKEN_PRIVATE_KEY_FILE": str(keys.folder / "private.pem"),
        "TOKEN_KEYS_FILE": str(keys.jwks),
    }


@contextmanager
def serving(command: list[str], environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Runs `command` until the block ends; gives its address and pid once its port answers."""
    port = choose(set())
    process = subprocess.Popen([*command], env=environment | {"PORT": str(port)}, cwd="/")
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        assert process.poll() is None
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(15)


def launcher(name: str) -> list[str]:
    return [sys.executable, "-m", "functions.common.serve", name]


@pytest.mark.parametrize("name", NAMES)
def test_a_function_starts_without_its_dependencies_and_ends_at_once(name: str, environment: dict[str, str]) -> None:
    with serving(launcher(name), environment) as (url, _):
        status = requests.get(url + "/nothing", timeout=10).status_code

    assert status == (405 if serve.LIMITS[name].signature == "cloudevent" else 404)


@pytest.mark.parametrize("name", NAMES)
def test_the_stock_command_serves_it_too(name: str, environment: dict[str, str]) -> None:
    stock = str(Path(sys.executable).parent / "functions-framework")
    command = [stock, "--target", name, "--source", str(ROOT / f"functions/{name}/main.py"), "--host", "127.0.0.1"]
    with serving([*command, "--signature-type", serve.LIMITS[name].signature], environment) as (url, _):
        assert requests.get(url + "/nothing", timeout=10).status_code in (404, 405)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_setting_stops_the_start_and_is_named(name: str, environment: dict[str, str]) -> None:
    bare = {"PATH": environment["PATH"], "PYTHONPATH": str(ROOT), "PORT": "20001", "HOST": "127.0.0.1"}

    ended = subprocess.run(launcher(name), env=bare, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 1
    missing = {"auth": "MYSQL_URL", "notify": "SMTP_URL"}.get(name, "MONGO_URL")
    assert f"{missing} is not set" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("convert", {"RUN_SECONDS": "600"}, "RUN_SECONDS (600) must be below the time limit of convert (600)"),
        ("convert", {"CONVERSION_SECONDS": "570"}, "CONVERSION_SECONDS (570) must be below RUN_SECONDS (560)"),
        ("convert", {"LEASE_SECONDS": "700"}, "LEASE_SECONDS (700) must be below RUN_SECONDS (560)"),
        ("convert", {"RESULT_DAYS": "0"}, "RESULT_DAYS (0) must be above 0"),
        (
            "convert",
            {"SHUTDOWN_SECONDS": "600"},
            "SHUTDOWN_SECONDS (600) must be below the time limit of convert (600)",
        ),
        ("upload", {"MAX_UPLOAD_BYTES": "-1"}, "MAX_UPLOAD_BYTES (-1) must be above 0"),
        ("notify", {"LEASE_SECONDS": "300"}, "LEASE_SECONDS (300) must be below the time limit of notify (300)"),
        ("notify", {"SHUTDOWN_SECONDS": "-1"}, "SHUTDOWN_SECONDS (-1) must be above 0"),
    ],
)
def test_a_setting_that_contradicts_another_stops_the_start_and_both_are_named(
    environment: dict[str, str], name: str, given: dict[str, str], told: str
) -> None:
    ended = subprocess.run(
        launcher(name),
        env=environment | {"PORT": "20001"} | given,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_frameworks_hook_that_reads_refused_bodies_is_gone(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = serve.create_app("upload")

    hooks = [hook for group in app.after_request_funcs.values() for hook in group]
    assert hooks == []


def test_what_the_framework_refuses_is_a_problem_too(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    answer = serve.create_app("download").test_client().get("/v1/jobs/%0A")  # no route of the framework has line breaks

    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.json["code"] == "not_found"


def test_a_refused_body_never_reaches_memory(environment: dict[str, str]) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * (1 << 20)

    with serving(launcher("upload"), environment) as (url, pid):
        # Its first answer: then what was deferred is there, and counts to what it has.
        assert requests.get(url + "/check", timeout=10).status_code == 401
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        (worker,) = children
        before = peak_kib(worker)
        # Without a gateway the refusal may arrive as a reset; what counts here is the memory.
        with suppress(requests.ConnectionError):
            assert requests.post(url + "/v1/jobs", data=body(), timeout=30).status_code == 401
        assert peak_kib(worker) - before < 20_000


def peak_kib(pid: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def test_at_sigterm_new_connections_are_refused_and_what_is_under_way_is_answered(environment: dict[str, str]) -> None:
    keys = Keys(Path(environment["TOKEN_KEYS_FILE"]).parent)
    with serving(launcher("upload"), environment | {"SHUTDOWN_SECONDS": "8"}) as (url, pid):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            token = keys.bearer()["Authorization"]
            headers = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 1000000\r\n\r\n"
            slow.sendall(headers.encode() + b"\0\0\0\x18ftyp")  # and no more
            time.sleep(0.5)
            os.kill(pid, signal.SIGTERM)
            assert eventually(lambda: refused(port), 2)  # long before the end of what is under way
            os.kill(pid, signal.SIGTERM)  # a second one changes nothing

            answer = slow.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After" in answer
    assert b"shutting down" in answer


def refused(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
