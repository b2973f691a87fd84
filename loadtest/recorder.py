"""One line of JSON a second: pods, desired scale, queues, jobs by state, and how long one small answer took.

`python -m loadtest.recorder FILE` records until Ctrl-C; the burst runs it beside itself. What cannot be read at the
moment is null in that line: a recorder does not end because the broker is restarted.
"""

import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pika
import requests
from pika.exceptions import AMQPError

from loadtest import client, cluster, target

QUEUES = ("video", "video.retry", "mp3", "mp3.retry", "parked")
PERIOD_SECONDS = 1.0

log = logging.getLogger(__name__)


class Queues:
    """The depths of the queues, over one connection that is made again when it is lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    def depths(self) -> dict[str, int]:
        """How many messages are ready in each; those that a source holds unacknowledged are not among them."""
        try:
            if self._connection is None:
                parameters = pika.URLParameters(self._url)
                parameters.socket_timeout = parameters.stack_timeout = 5
                self._connection = pika.BlockingConnection(parameters)
            channel = self._connection.channel()
            found = {name: channel.queue_declare(name, passive=True).method.message_count for name in QUEUES}
            channel.close()
        except (AMQPError, OSError):
            self._connection = None
            raise
        return found


class Recorder(threading.Thread):
    """Writes a sample a second to `file` while the `with` block runs; `tick` is the clock of its lines."""

    def __init__(self, file: Path, reads: dict[str, Callable[[], Any]], account: client.Account | None) -> None:
        super().__init__(name="recorder", daemon=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._reads = reads
        self._account = account
        self._asking = threading.Event()
        self._over = threading.Event()
        self._began = time.monotonic()
        self._service: dict[str, Any] = {}

    @property
    def tick(self) -> float:
        """Seconds since the recording began."""
        return time.monotonic() - self._began

    def ask(self, wanted: bool) -> None:
        """Begins or ends asking for the account's jobs once a second: asking keeps download awake."""
        self._service = {}
        (self._asking.set if wanted else self._asking.clear)()

    def run(self) -> None:
        """The thread itself."""
        # The service is asked beside the sampling: its answer may take as long as a start from zero.
        threading.Thread(target=self._ask, name="asker", daemon=True).start()
        with self._file.open("w", encoding="utf-8") as out:
            due = time.monotonic()
            while not self._over.wait(max(0.0, due - time.monotonic())):
                due = max(due + PERIOD_SECONDS, time.monotonic())
                out.write(json.dumps(self._sample()) + "\n")
                out.flush()

    def _sample(self) -> dict[str, Any]:
        sample: dict[str, Any] = {"t": round(self.tick, 2)}
        for name, read in self._reads.items():
            try:
                sample[name] = read()
            except Exception as error:  # whatever a server that is away makes a client raise
                log.warning("%s cannot be read: %s", name, error)
                sample[name] = None
        return sample | {"jobs": None, "latency": None} | self._service

    def _ask(self) -> None:
        while not self._over.wait(PERIOD_SECONDS):
            if not (self._asking.is_set() and self._account):
                continue
            began = time.monotonic()
            try:
                jobs = dict(Counter(job["state"] for job in self._account.jobs()))
            except (client.RefusedError, requests.RequestException) as error:
                log.warning("the jobs cannot be read: %s", error)
                continue
            if self._asking.is_set():
                self._service = {"jobs": jobs, "latency": round(time.monotonic() - began, 4)}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def sources(where: cluster.Cluster | None, rabbitmq: str) -> dict[str, Callable[[], Any]]:
    """What a recorder reads each second; without a cluster the queues alone."""
    reads: dict[str, Callable[[], Any]] = {"queues": Queues(rabbitmq).depths}
    return reads | ({"pods": where.pods, "desired": where.desired} if where else {})


def main(file: Path) -> int:
    """Records what happens anyway, until Ctrl-C."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    where = cluster.Cluster()
    with Recorder(file, sources(where, target.find(where.gateway()).rabbitmq), None):
        print(f"Recording to {file}; Ctrl-C ends it.", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
