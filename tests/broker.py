"""A RabbitMQ of a test's own, to be killed, frozen and starved, and what tests ask of any broker's queues."""

import logging
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pika
from pika.adapters.blocking_connection import BlockingChannel

from local import rabbitmq
from local.keeper import Keeper
from local.ports import Ports
from local.process import Child

logging.getLogger("pika").setLevel(logging.CRITICAL)  # it tells each refused attempt at length

RETRY_DELAY_MS = 2000
QUEUES = [queue["name"] for queue in rabbitmq.definitions()["queues"]]
Message = tuple[Any, pika.BasicProperties, bytes]
T = TypeVar("T")


class Broker:
    """A running broker with the tracked topology, its delays scaled."""

    def __init__(self, home: Path) -> None:
        passwords = {account: secrets.token_urlsafe(8) for account in rabbitmq.ACCOUNTS}
        ports = Ports(home / "ports.json")
        programs = rabbitmq.programs(home, ports, passwords, RETRY_DELAY_MS, {"PATH": os.environ["PATH"]})
        children = [Child(program, home / f"{program.name}.log") for program in programs]
        self.port = ports["rabbitmq"]
        self.urls = {account: rabbitmq.url(self.port, account, text) for account, text in passwords.items()}
        self.url = self.urls[rabbitmq.ADMINISTRATOR]
        self._environment = programs[-1].environment
        self._child = children[-1]
        self._keeper = Keeper(children, lambda: None)
        self._keeper.start()

    def start(self) -> None:
        """Starts it, again after `kill`, and waits until it answers."""
        self._child.release()
        assert self._child.ready.wait(60), self._child.tail()

    def stop(self) -> None:
        """Ends it for good."""
        self._child.kill()
        self._keeper.stop()

    def kill(self) -> None:
        """kill -9; it stays dead until `start`."""
        self._child.hold()
        self._child.kill()

    def freeze(self) -> None:
        """SIGSTOP: the kernel still accepts connections and data for it."""
        self._child.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._child.thaw()

    def ctl(self, *arguments: str) -> str:
        """What rabbitmqctl prints."""
        command = [str(rabbitmq.SCRIPT.with_name("rabbitmqctl")), "-q", *arguments]
        environment = dict(self._environment)
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def drop(self, name: str) -> None:
        """Closes the connections that call themselves `name`."""
        for line in self.ctl("list_connections", "pid", "client_properties").splitlines():
            if f'{{"connection_name","{name}"}}' in line:
                self.ctl("close_connection", line.partition("\t")[0], "dropped by a test")


@contextmanager
def private_broker(home: Path) -> Iterator[Broker]:
    """A broker with its data in `home`."""
    broker = Broker(home)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def wait_for(condition: Callable[[], T], what: str, seconds: float = 30.0) -> T:
    """What `condition` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return value


def purge(channel: BlockingChannel) -> None:
    """Empties all queues."""
    for queue in QUEUES:
        channel.queue_purge(queue)


def ready(channel: BlockingChannel, queue: str) -> int:
    """How many messages of `queue` nobody holds."""
    count: int = channel.queue_declare(queue, passive=True).method.message_count
    return count


def take(channel: BlockingChannel, queue: str) -> Message | None:
    """The next message of `queue`, unacknowledged. None when it is empty."""
    method, properties, body = channel.basic_get(queue)
    return (method, properties, body) if method else None
