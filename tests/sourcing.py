"""The source program as a process of its own, and what its tests send and find."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

from functions.common import events
from tests.broker import take, wait_for

PROGRAM = Path(__file__).parents[1] / "rabbitmq-source" / "source.py"

Start = Callable[..., "Source"]


class Source:
    """The program running; its log lines can be read."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM)], env=environment, stdout=out, stderr=subprocess.STDOUT
            )

    def text(self) -> str:
        """All that it said."""
        return self._log.read_text(encoding="utf-8")

    def lines(self, message: str) -> list[dict[str, Any]]:
        """The log lines that say `message`."""
        whole = [line for line in self.text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in map(json.loads, whole) if line["message"] == message]

    def consuming(self, times: int = 1) -> "Source":
        """Waits until it has begun to consume, so often."""
        wait_for(lambda: len(self.lines("consuming")) >= times, "the source to consume")
        return self

    def end(self, how: signal.Signals) -> int:
        """Sends the signal; the exit code."""
        self.process.send_signal(how)
        return self.process.wait(30)


def send(channel: BlockingChannel, queue: str = "video") -> str:
    """Publishes an event of a new job; the event's id."""
    event = events.announcement(str(uuid.uuid4()), "queued")
    properties = pika.BasicProperties(message_id=event.id, content_type=events.CONTENT_TYPE, delivery_mode=2)
    channel.basic_publish(queue if queue in ("video", "mp3") else "", queue, event.body(), properties, mandatory=True)
    return event.id


def deaths(channel: BlockingChannel, queue: str = "video.retry") -> list[str]:
    """Why the next message of the delay queue is there."""
    _, properties, _ = wait_for(lambda: take(channel, queue), f"a message in {queue}")
    return [death["reason"] for death in properties.headers["x-death"]]
