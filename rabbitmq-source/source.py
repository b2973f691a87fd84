"""The source on one machine: turns a queue's messages into HTTP calls of a function, with the manners of a cluster's.

Stands for Knative's RabbitmqSource adapter (prefetch 100, its status rules, no requeue, SIGTERM rejects all that it
holds) and for what stands between it and the function there: at most PARALLELISM calls at once, cut off after
TIMEOUT_SECONDS. Knows nothing of videos; messages that are CloudEvents in AMQP's binary mode are not understood.
Settings: RABBITMQ_URL QUEUE SINK PARALLELISM TIMEOUT_SECONDS [RETRIES=3] [BACKOFF_SECONDS=1] [LOG_LEVEL=INFO].
"""

import json
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pika
from consumer import Consumer, Settings
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError

log = logging.getLogger("source")

CONNECT_TRIES = 6  # a second apart; then it exits, as the adapter does, and whoever runs it starts it again
CONNECT_SECONDS = 3.0
HEARTBEAT_SECONDS = 10
EXIT_SECONDS = 2.0  # a broker that does not even take the rejections holds the exit up no longer


def connect(url: str, stopping: threading.Event) -> pika.BlockingConnection | None:
    """A connection to the broker, or None when there was none for so long, or it is time to stop."""
    parameters = pika.URLParameters(url)
    parameters.connection_attempts = 1
    parameters.socket_timeout = parameters.stack_timeout = CONNECT_SECONDS
    parameters.heartbeat = HEARTBEAT_SECONDS
    parameters.client_properties = {"connection_name": "source"}
    for _ in range(CONNECT_TRIES):
        try:
            return pika.BlockingConnection(parameters)
        except (AMQPError, AMQPConnectorException, OSError) as error:  # the second from a broker that says nothing
            log.warning("no broker", extra={"values": {"reason": type(error).__name__}})
        if stopping.wait(1):
            break
    return None


def run(settings: Settings, stopping: threading.Event) -> int:
    """Consumes over one connection after the other until told to stop; the exit code."""
    pool = ThreadPoolExecutor(settings.parallelism)
    while not stopping.is_set():
        connection = connect(settings.url, stopping)
        if connection is None:
            break
        try:
            Consumer(connection, pool, settings, stopping).run()
        except AMQPError as error:
            log.warning("connection lost", extra={"values": {"queue": settings.queue, "reason": type(error).__name__}})
            stopping.wait(1)
    return 0 if stopping.is_set() else 1


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "program": "source",
            "message": record.getMessage(),
            **getattr(record, "values", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def main() -> None:
    """Runs until SIGTERM; ends at once then, which cuts the calls that are under way."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO").upper(), handlers=[handler])
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # many lines for each failed attempt; ours says it once
    try:
        settings = Settings.read(os.environ)
    except (KeyError, ValueError) as error:
        sys.exit(f"source: a setting is missing or unreadable: {error}")
    stopping = threading.Event()

    def stop(*_: object) -> None:
        stopping.set()
        limit = threading.Timer(EXIT_SECONDS, os._exit, (0,))
        limit.daemon = True
        limit.start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    code = run(settings, stopping)
    sys.stdout.flush()
    os._exit(code)  # without waiting for the threads that call


if __name__ == "__main__":
    main()
