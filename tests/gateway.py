"""A private NGINX around the gateway's template, with stand-ins for the functions behind it."""

import json
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from random import SystemRandom

from local.gateway import MAIN, render
from tests.upstream import Upstream, says


@dataclass
class Gateway:
    """A running NGINX: where it listens, what stands behind it, where it keeps things."""

    port: int
    pid: int
    home: Path
    functions: dict[str, Upstream]

    def reset(self) -> None:
        """Every function answers 200 and has seen nothing."""
        for upstream in self.functions.values():
            upstream.answers = {"/check": says(204)} if upstream.name == "upload" else {}
            upstream.seen.clear()


@contextmanager
def gateway(max_body: int) -> Iterator[Gateway]:
    """The gateway with an upstream for each of its functions."""
    functions = {name: Upstream(name, free_port()) for name in ("auth", "upload", "download")}
    port = free_port()
    variables = {"GATEWAY_LISTEN": f"127.0.0.1:{port}", "RESOLVER": "127.0.0.1", "MAX_BODY_BYTES": str(max_body)}
    for name, upstream in functions.items():
        variables[f"{name.upper()}_UPSTREAM"] = upstream.address
        variables[f"{name.upper()}_HOST"] = f"{name}.demo.svc.cluster.local"
    home = Path(tempfile.mkdtemp(prefix="gateway-"))
    home.chmod(0o755)  # NGINX's workers may run as another user
    (home / "temp").mkdir()
    (home / "server.conf").write_text(render(variables), encoding="utf-8")
    (home / "nginx.conf").write_text(MAIN.format(include=home / "server.conf"), encoding="utf-8")
    try:
        with running(home, port) as pid:
            yield Gateway(port, pid, home, functions)
    finally:
        for upstream in functions.values():
            upstream.shutdown()
            upstream.server_close()
        shutil.rmtree(home)


@contextmanager
def running(home: Path, port: int) -> Iterator[int]:
    command = ["nginx", "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")]
    with (home / "access.log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as nginx:
        try:
            until = time.monotonic() + 10
            while not listens(port):
                assert nginx.poll() is None, (home / "error.log").read_text()
                assert time.monotonic() < until
                time.sleep(0.02)
            yield nginx.pid
        finally:
            nginx.send_signal(signal.SIGTERM)
            nginx.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port that nothing listens on, below those that the kernel gives to outgoing connections."""
    while True:
        port = SystemRandom().randrange(20_000, 30_000)
        if not listens(port):
            return port


def call(
    gateway: Gateway, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, HTTPMessage, bytes]:
    """One request; `_` in a header's name stands for `-`."""
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def is_problem(status: int, headers: HTTPMessage, body: bytes, code: str) -> bool:
    """Whether the answer is a whole problem document with this code; the assertions say what is not."""
    problem = json.loads(body)
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    assert (problem["status"], problem["code"]) == (status, code)
    return True
