"""One account of the service and what it does: over the gateway alone, its mails out of the inbox's page."""

import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import requests

from loadtest.target import Target

PASSWORD = "correct horse"  # noqa: S105 - of accounts that exist for a measurement
CALL_SECONDS = 620.0
RETRY_SECONDS = 300.0
PAUSE_SECONDS = 1.0
RETRIED = (409, 429, 503)
PAGE = 100  # jobs


class RefusedError(Exception):
    """The service said no; the message has its answer."""

    def __init__(self, call: str, answer: requests.Response) -> None:
        super().__init__(f"{call} answered {answer.status_code}: {answer.text[:200]}")
        self.status = answer.status_code


class Account:
    """A new account with a token of an hour."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.email = f"load-{uuid.uuid4().hex}@load.example"
        self.credentials = {"email": self.email, "password": PASSWORD}
        self.refused: Counter[int] = Counter()
        self.call("POST", "/v1/users", json=self.credentials)
        self.headers = {"Authorization": f"Bearer {self.log_in()}"}

    def log_in(self) -> str:
        """A token."""
        return str(self.call("POST", "/v1/tokens", json=self.credentials).json()["access_token"])

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """One request, with the token where there is one. Raises RefusedError unless the answer is 2xx."""
        headers = getattr(self, "headers", {}) | arguments.pop("headers", {})
        url = self._target.gateway + path
        answer = requests.request(method, url, headers=headers, timeout=CALL_SECONDS, **arguments)
        if not answer.ok:
            self.refused[answer.status_code] += 1
            raise RefusedError(f"{method} {path}", answer)
        return answer

    def upload(self, video: Path, key: str) -> str:
        """The job's id; tried again under the same Idempotency-Key, as a good client does. Raises RefusedError."""
        headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": key}
        until = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                with video.open("rb") as body:
                    path = f"/v1/jobs?filename={video.name}"
                    return str(self.call("POST", path, data=body, headers=headers).json()["id"])
            except (RefusedError, requests.ConnectionError) as error:
                hopeless = isinstance(error, RefusedError) and error.status not in RETRIED
                if hopeless or time.monotonic() > until:
                    raise
                time.sleep(PAUSE_SECONDS)

    def jobs(self) -> list[dict[str, Any]]:
        """The newest hundred jobs."""
        return list(self.call("GET", f"/v1/jobs?limit={PAGE}").json()["jobs"])

    def mails(self) -> list[dict[str, str]]:
        """What has arrived for this account."""
        answer = requests.get(f"{self._target.inbox}/messages.json", params={"to": self.email}, timeout=60)
        answer.raise_for_status()
        return list(answer.json())
