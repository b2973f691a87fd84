"""Users of the service, each with an account of its own: `locust -f loadtest/locustfile.py --host GATEWAY`.

A user looks at its jobs far more often than it uploads, as a client that waits does. It has at most UNFINISHED jobs
under way and makes UPLOADS in all, so that a run is bounded by its users; a 503 is a failure, and makes it pause.
"""

import time
import uuid
from pathlib import Path

from locust import HttpUser, between, task

from loadtest import sample

UPLOADS = 5
UNFINISHED = 2
SECONDS = 10  # of the video
CALL_SECONDS = 120.0
PASSWORD = "correct horse"  # noqa: S105 - of accounts that exist for a measurement
ENDS = ("done", "failed", "cancelled", "expired")
VIDEO = sample.make(Path(".loadtest") / f"sample-{SECONDS}.mp4", SECONDS).read_bytes()


class Listener(HttpUser):
    """Someone who turns videos into MP3s."""

    wait_time = between(0.5, 2.0)
    network_timeout = CALL_SECONDS

    def on_start(self) -> None:
        """Signs up and logs in."""
        self.credentials = {"email": f"load-{uuid.uuid4().hex}@load.example", "password": PASSWORD}
        self.unfinished: list[str] = []
        self.mp3s: list[str] = []
        self.left = UPLOADS
        self.client.post("/v1/users", json=self.credentials)
        self.log_in()

    @task(2)
    def log_in(self) -> None:
        """A new token, as after an hour."""
        with self.client.post("/v1/tokens", json=self.credentials, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text[:100]}")
                time.sleep(float(answer.headers.get("Retry-After", 1)))
                return
            self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    @task(3)
    def upload(self) -> None:
        """A short video, unless enough are under way."""
        if len(self.unfinished) >= UNFINISHED or not self.left:
            return
        headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": uuid.uuid4().hex}
        with self.client.post(
            "/v1/jobs?filename=load.mp4", data=VIDEO, headers=headers, name="/v1/jobs", catch_response=True
        ) as answer:
            if answer.status_code != 202:
                answer.failure(f"{answer.status_code}: {answer.text[:100]}")
                return
            self.left -= 1
            self.unfinished.append(answer.json()["id"])

    @task(10)
    def poll(self) -> None:
        """Looks at the oldest job under way."""
        if not self.unfinished:
            return
        with self.client.get(f"/v1/jobs/{self.unfinished[0]}", name="/v1/jobs/[id]", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text[:100]}")
                return
            job = answer.json()
            if job["state"] in ENDS:
                self.unfinished.pop(0)
                if job["mp3"]:
                    self.mp3s.append(job["mp3"]["href"])
                else:
                    answer.failure(f"the job is {job['state']}")

    @task(4)
    def download(self) -> None:
        """Fetches the newest MP3."""
        if self.mp3s:
            self.client.get(self.mp3s[-1], name="/v1/mp3s/[id]")
