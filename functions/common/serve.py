"""The launcher: `python -m functions.common.serve NAME` serves one function the way Knative needs it.

The stock command can set neither gunicorn's grace period nor its keep-alive, and its app reads the unread rest of a
refused body into memory; docs/decisions/0002 has the measurements.
"""

import ctypes
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import functions_framework
from flask import Flask
from functions_framework._http import create_server

from functions.common import deferred, logs, settings

_M_ARENA_MAX = -8  # malloc.h
KEEPALIVE_SECONDS = 95  # above the 90 s after which Go's pooled connections close, or a POST may meet a closing one


@dataclass(frozen=True)
class Settings:
    """What the launcher itself needs; `shutdown_seconds` 0 means the function's own time limit."""

    port: int
    host: str = "0.0.0.0"  # noqa: S104 - a pod's port is reached from its queue-proxy; local/ sets 127.0.0.1
    log_level: str = "INFO"
    shutdown_seconds: int = 0


@dataclass(frozen=True)
class Limits:
    """`seconds` a request may take (Knative's timeoutSeconds) and how many `threads` answer requests."""

    seconds: int
    threads: int
    signature: str = "http"


LIMITS = {
    "auth": Limits(seconds=30, threads=16),
    "upload": Limits(seconds=600, threads=8),
    "convert": Limits(seconds=600, threads=4, signature="cloudevent"),
    "notify": Limits(seconds=300, threads=4, signature="cloudevent"),
    "download": Limits(seconds=600, threads=32),
}


def create_app(name: str) -> Flask:
    """The function's app without the framework's hook that reads refused bodies into memory."""
    source = Path(__file__).parents[1] / name / "main.py"
    app: Flask = functions_framework.create_app(name, str(source), LIMITS[name].signature)
    hooks = app.after_request_funcs.get(None, [])
    app.after_request_funcs[None] = [hook for hook in hooks if hook.__name__ != "read_request"]
    return app


def main(name: str) -> None:
    """Serves the function `name` until SIGTERM; requests in flight then have the grace period to end."""
    loaded = settings.load(Settings)
    logs.configure(name, loaded.log_level)
    _keep_memory_in_one_place()
    limits = LIMITS[name]
    server = create_server(
        create_app(name),
        debug=False,
        threads=limits.threads,
        workers=1,
        worker_class="gthread",
        timeout=0,
        graceful_timeout=loaded.shutdown_seconds or limits.seconds,
        keepalive=KEEPALIVE_SECONDS,
        control_socket_disable=True,
        post_worker_init=_build_in_the_background,
    )
    server.run(loaded.host, loaded.port)


def _build_in_the_background(_worker: Any) -> None:
    threading.Thread(target=deferred.build_all, name="build", daemon=True).start()


def _keep_memory_in_one_place() -> None:
    # glibc gives each thread an arena of its own and returns little of it: twice the memory for streaming uploads.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # not in every libc
        libc.mallopt(_M_ARENA_MAX, 1)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in LIMITS:
        sys.exit(f"usage: python -m functions.common.serve {'|'.join(LIMITS)}")
    try:
        main(sys.argv[1])
    except settings.SettingsError as error:
        sys.exit(str(error))
