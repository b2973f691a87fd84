"""A client of the running system, and nothing but that: HTTP through the gateway, mail out of the inbox."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import requests

PASSWORD = "correct horse"
END_STATES = ("done", "failed", "cancelled", "expired")


def until(met: Callable[[], Any], seconds: float, what: str) -> Any:
    """Waits until `met` gives something true, and gives that. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := met():
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


class Account:
    """A new account with a token."""

    def __init__(self, url: str, inbox_url: str) -> None:
        self.url, self.inbox_url = url, inbox_url
        self.email = f"{uuid.uuid4().hex}@demo.example"
        made = self.call("POST", "/v1/users", json={"email": self.email, "password": PASSWORD})
        assert made.status_code == 201, made.text
        self.token = ""
        self.log_in()

    def log_in(self) -> None:
        answer = self.call("POST", "/v1/tokens", json={"email": self.email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """One request, with the token where there is one."""
        headers = {"Authorization": f"Bearer {self.token}"} if getattr(self, "token", "") else {}
        headers |= arguments.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=60, **arguments)

    def upload(self, data: bytes, name: str = "clip.mp4") -> str:
        """Uploads a video; the job's id."""
        answer = self.call("POST", "/v1/jobs", files={"file": (name, data)})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ended(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """Waits until the job has come to its end."""

        def end() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["state"] in END_STATES else None

        return dict(until(end, seconds, f"the end of job {job_id}"))

    def mails(self, count: int = 1, seconds: float = 60) -> list[dict[str, str]]:
        """Waits until `count` mails have come to this account."""

        def come() -> list[dict[str, str]] | None:
            mails = self.inbox()
            return mails if len(mails) >= count else None

        return list(until(come, seconds, f"{count} mails"))

    def inbox(self) -> list[dict[str, str]]:
        answer = requests.get(f"{self.inbox_url}/messages.json", params={"to": self.email}, timeout=10)
        return list(answer.json())
