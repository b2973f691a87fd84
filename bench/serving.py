"""Functions as processes of their own, started as on the cluster, and calls to them."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from random import SystemRandom

from bench.memory import tree

ROOT = Path(__file__).parents[1]
START_SECONDS = 30.0
POLL_SECONDS = 0.001
HELLO = [
    sys.executable,
    "-m",
    "functions_framework",
    "--target",
    "hello",
    "--source",
    str(ROOT / "bench/hello/main.py"),
]


@dataclass(frozen=True)
class Served:
    """A function that listens; `opened` is how many seconds its start took, `spawned` the clock at its start."""

    pid: int
    port: int
    spawned: float
    opened: float

    @property
    def processes(self) -> list[int]:
        """gunicorn's master and its worker."""
        return tree(self.pid)

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request over a connection of its own: status and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@dataclass(frozen=True)
class Share:
    """What a function is given of the machine: the first `cores`, or all; it goes by `threads` if these are given."""

    cores: int | None = None
    threads: int | None = None

    def __str__(self) -> str:
        if self.threads:
            return f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.cores} core{'s' if self.cores != 1 else ''}" if self.cores else "all cores"


ALL = Share()


def command(name: str, share: Share = ALL) -> list[str]:
    """What starts the function `name`; `hello` is the reference, by the framework's own command."""
    if name == "hello":
        return HELLO
    bound = ["taskset", "--cpu-list", f"0-{share.cores - 1}"] if share.cores else []
    program = ["bench.threaded", str(share.threads)] if share.threads else ["functions.common.serve"]
    return [*bound, sys.executable, "-m", *program, name]


@contextmanager
def serving(name: str, environment: Mapping[str, str], share: Share = ALL, root: Path = ROOT) -> Iterator[Served]:
    """The function `name` of a checkout, from its start to its orderly end; its log goes to `.bench/NAME.log`."""
    port = _free_port()
    place = {"HOST": "127.0.0.1", "PORT": str(port)}
    log_path = ROOT / ".bench" / f"{name}.log"
    log_path.parent.mkdir(exist_ok=True)
    with log_path.open("ab") as log:
        spawned = time.monotonic()
        process = subprocess.Popen(command(name, share), env={**environment, **place}, cwd=root, stdout=log, stderr=log)
        try:
            _wait(process, port)
            yield Served(process.pid, port, spawned, time.monotonic() - spawned)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{process.args!r} did not start: see .bench/*.log")
        time.sleep(POLL_SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    # Below the range that outgoing connections use, or one of these might take it first.
    while _listens(port := SystemRandom().randrange(20_000, 30_000)):
        pass
    return port
