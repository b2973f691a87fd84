"""What a cold start is measured by: for each function one small call with a useful answer.

auth: a token for a password. download: a job. upload: a video is stored and becomes a job. convert and notify: the
event of a job that has ended, which they look up in MongoDB and acknowledge. Through Knative that event is published
to their queue, and the answer is the line that the function logs.
"""

import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pika
import requests

from loadtest.client import Account
from loadtest.cluster import Cluster
from loadtest.target import Target

ASKED = ("auth", "download", "upload")
# By the function that is woken: exchange (its key is the same) and type of event.
TOLD = {"convert": ("video", "video.uploaded.v1"), "notify": ("mp3", "mp3.ready.v1")}
ANSWER_SECONDS = 120.0
TRY_SECONDS = 0.01
LOOK_SECONDS = 0.25
CONTENT_TYPE = "application/cloudevents+json"


class NoAnswerError(Exception):
    """The function did not answer usefully in time; the message says what it said."""


class Questions:
    """The calls of one account, whose only job `video` has ended."""

    def __init__(self, where: Target, cluster: Cluster, account: Account, job: str, video: Path) -> None:
        self._where, self._cluster, self._account, self._job = where, cluster, account, job
        self._video = video.read_bytes()
        self._jobs = 1

    def settled(self) -> bool:
        """Whether every job so far has had its mail, so that nothing works any more."""
        return len(self._account.mails()) >= self._jobs

    def through_knative(self, function: str) -> float:
        """Seconds from the request to its answer, through the gateway or the queue."""
        if function in ASKED:
            return self._ask(function, self._where.gateway)
        return self._tell(function)

    def directly(self, function: str, address: str) -> float:
        """The same of a process at `address`, tried until it listens."""
        return self._ask(function, address) if function in ASKED else self._post(function, address)

    def _ask(self, function: str, address: str) -> float:
        headers = self._account.headers
        if function == "auth":
            return _timed("POST", f"{address}/v1/tokens", 200, json=self._account.credentials)
        if function == "download":
            return _timed("GET", f"{address}/v1/jobs/{self._job}", 200, headers=headers)
        self._jobs += 1
        headers = headers | {"Content-Type": "application/octet-stream"}
        return _timed("POST", f"{address}/v1/jobs?filename=cold.mp4", 202, headers=headers, data=self._video)

    def _post(self, function: str, address: str) -> float:
        headers = {"Content-Type": CONTENT_TYPE}
        return _timed("POST", f"{address}/", 200, headers=headers, data=self._event(function, uuid.uuid4().hex))

    def _event(self, function: str, name: str) -> bytes:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"specversion": "1.0", "id": name, "source": "/loadtest", "type": TOLD[function][1], "time": now}
        return json.dumps(event | {"datacontenttype": "application/json", "data": {"job_id": self._job}}).encode()

    def _tell(self, function: str) -> float:
        name, (exchange, _) = uuid.uuid4().hex, TOLD[function]
        body = self._event(function, name)
        connection = pika.BlockingConnection(pika.URLParameters(self._where.rabbitmq))
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            properties = pika.BasicProperties(CONTENT_TYPE, delivery_mode=2, message_id=name)
            began = time.time()
            channel.basic_publish(exchange, exchange, body, properties, mandatory=True)
        finally:
            connection.close()
        return self._logged(function, name) - began

    def _logged(self, function: str, name: str) -> float:
        # By the clock of the node that runs it: on a cluster of several, no better than their clocks agree.
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            if (moment := logged(self._cluster.log(function), name)) is not None:
                return moment
        raise NoAnswerError(f"{function} has not logged the event {name} within {ANSWER_SECONDS:.0f} s")


def logged(lines: str, event: str) -> float | None:
    """When the function said that it was through with the event, on the clock of `time.time()`."""
    for line in lines.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("event") == event:
            return datetime.fromisoformat(entry["time"]).timestamp()
    return None


def _timed(method: str, url: str, expected: int, **arguments: Any) -> float:
    began = time.monotonic()
    while True:
        try:
            answer = requests.request(method, url, timeout=ANSWER_SECONDS, **arguments)
            break
        except requests.ConnectionError as error:  # nothing listens yet
            if time.monotonic() - began > ANSWER_SECONDS:
                raise NoAnswerError(f"{method} {url}: {error}") from error
            time.sleep(TRY_SECONDS)
    seconds = time.monotonic() - began
    if answer.status_code != expected:
        raise NoAnswerError(f"{method} {url} answered {answer.status_code}: {answer.text[:200]}")
    return seconds
