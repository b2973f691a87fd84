"""What a user does with the service, over HTTP alone: account, upload, wait, mail, download."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

POLL_SECONDS = 0.3
JOB_SECONDS = 900.0
MAIL_SECONDS = 60.0
CALL_SECONDS = 620.0
ENDS = ("done", "failed", "cancelled", "expired")


class JourneyError(Exception):
    """The service said no, or nothing; the message says what."""


class Journey:
    """One new account at the service at `url`, whose mail arrives at `inbox_url`."""

    def __init__(self, url: str, inbox_url: str) -> None:
        self._url = url
        self._inbox_url = inbox_url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between us and this machine
        self.email = f"demo-{secrets.token_hex(4)}@demo.example"

    @property
    def has_inbox(self) -> bool:
        """Whether mail can be read here."""
        return bool(self._inbox_url)

    def sign_up(self) -> str:
        """Makes the account and logs in; its address."""
        password = secrets.token_urlsafe(12)
        self._call("POST", "/v1/users", json={"email": self.email, "password": password})
        token = self._call("POST", "/v1/tokens", auth=(self.email, password)).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        return self.email

    def upload(self, video: Path) -> dict[str, Any]:
        """Sends the file; the job."""
        with video.open("rb") as file:
            # An empty file has no length for requests, which would send it in chunks.
            body = file if video.stat().st_size else b""
            headers = {"Content-Type": "application/octet-stream"}
            answer = self._call("POST", "/v1/jobs", params={"filename": video.name}, data=body, headers=headers)
        job: dict[str, Any] = answer.json()
        return job

    def finish(self, job_id: str, tell: Callable[[str], None]) -> dict[str, Any]:
        """Waits for the job's end; `tell` hears of each change. The job as it is then."""
        until, told = time.monotonic() + JOB_SECONDS, ""
        while time.monotonic() < until:
            job: dict[str, Any] = self._call("GET", f"/v1/jobs/{job_id}").json()
            text = f"{job['state']} {job['progress']} %" if job["state"] == "converting" else job["state"]
            if text != told:
                tell(text)
                told = text
            if job["state"] in ENDS:
                return job
            time.sleep(POLL_SECONDS)
        raise JourneyError(f"Job {job_id} has not ended after {JOB_SECONDS / 60:.0f} minutes.")

    def mail(self) -> str:
        """Waits for the account's mail; its headers and text."""
        until = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < until:
            mails = self._session.get(f"{self._inbox_url}/messages.json", params={"to": self.email}, timeout=10).json()
            if mails:
                mail = mails[0]
                return f"From: {mail['from']}\nTo: {mail['to']}\nSubject: {mail['subject']}\n\n{mail['text'].rstrip()}"
            time.sleep(POLL_SECONDS)
        raise JourneyError(f"No mail has arrived within {MAIL_SECONDS:.0f} s.")

    def fetch(self, mp3_id: str, target: Path) -> None:
        """Downloads the MP3 into `target`."""
        with self._call("GET", f"/v1/mp3s/{mp3_id}", stream=True) as answer, target.open("wb") as file:
            for block in answer.iter_content(1 << 18):
                file.write(block)

    def _call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        try:
            answer = self._session.request(method, self._url + path, timeout=CALL_SECONDS, **arguments)
        except requests.RequestException as error:
            raise JourneyError(f"{method} {path} got no answer: {error}") from error
        if not answer.ok:
            raise JourneyError(f"{method} {path} answered {answer.status_code}: {_detail(answer)}")
        return answer


def _detail(answer: requests.Response) -> str:
    try:
        problem = answer.json()
        return f"{problem['detail']} ({problem['code']})"
    except (ValueError, KeyError, TypeError):
        return answer.reason
