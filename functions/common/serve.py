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
from gunicorn.workers.gthread import ThreadWorker
from werkzeug.exceptions import HTTPException

from functions.common import deferred, draining, logs, settings
from functions.common.limits import LIMITS, check
from functions.common.web import problem

_M_ARENA_MAX = -8  # malloc.h
KEEPALIVE_SECONDS = 95  # above the 90 s after which Go's pooled connections close, or a POST may meet a closing one


@dataclass(frozen=True)
class Settings:
    """What the launcher itself needs; `shutdown_seconds` 0 means the time limit less what Knative takes of it."""

    port: int
    host: str = "0.0.0.0"  # noqa: S104 - a pod's port is reached from its queue-proxy; local/ sets 127.0.0.1
    log_level: str = "INFO"
    shutdown_seconds: int = 0


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no annotations
    """gunicorn's, which tells of SIGTERM and refuses connections from then on.

    The stock worker keeps its listeners open until its last request has ended: whoever connects meanwhile hangs in
    their backlog and is reset in the end.
    """

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM came; this is a signal handler."""
        draining.PROCESS.tell()
        super().handle_exit(sig, frame)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Takes connections or stops to, in the end for good."""
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                listener.close()


def create_app(name: str) -> Flask:
    """The function's app: errors as problem documents, without the framework's hook that reads refused bodies."""
    source = Path(__file__).parents[1] / name / "main.py"
    app: Flask = functions_framework.create_app(name, str(source), LIMITS[name].signature)
    hooks = app.after_request_funcs.get(None, [])
    app.after_request_funcs[None] = [hook for hook in hooks if hook.__name__ != "read_request"]
    # What the framework answers without asking the function, such as a path with a line break.
    app.register_error_handler(HTTPException, problem)
    return app


def main(name: str) -> None:
    """Serves the function `name` until SIGTERM; requests in flight then have the grace period to end."""
    loaded = settings.load(Settings)
    logs.configure(name, loaded.log_level)
    _keep_memory_in_one_place()
    limits = LIMITS[name]
    grace = _grace(name, loaded.shutdown_seconds)
    server = create_server(
        create_app(name),
        debug=False,
        threads=limits.threads,
        workers=1,
        worker_class=Worker,
        timeout=0,
        graceful_timeout=grace,
        keepalive=KEEPALIVE_SECONDS,
        control_socket_disable=True,
        post_worker_init=lambda worker: _begin(grace),
    )
    server.run(loaded.host, loaded.port)


def _grace(name: str, shutdown_seconds: int) -> int:
    grace = shutdown_seconds or LIMITS[name].grace_seconds
    check("launcher", {"SHUTDOWN_SECONDS": grace, f"the time limit of {name}": LIMITS[name].seconds})
    return grace


def _begin(grace: float) -> None:
    # In the worker, as no thread survives the fork.
    draining.PROCESS.attend(grace)
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
