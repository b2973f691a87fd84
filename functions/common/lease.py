"""Keeps a run's lease alive from a thread of its own, and tells when the job is lost."""

import logging
import threading
import time
from types import TracebackType

from functions.common.jobrecord import Run
from functions.common.jobs import Jobs
from functions.common.mongo import AWAY

log = logging.getLogger(__name__)

END_SECONDS = 0.1


class Lease:
    """`with Lease(jobs, run, seconds) as lease:` extends the lease up to the run's own limit of `seconds`.

    `lease.progress` (percent) is written along, at most once a second. `lease.lost` is set when the job no longer
    belongs to the run: cancelled, taken by another, or out of time.
    """

    def __init__(self, jobs: Jobs, run: Run, seconds: float) -> None:
        self.progress = 0
        self.lost = threading.Event()
        self._jobs, self._run = jobs, run
        self._deadline = time.monotonic() + seconds
        self._until = time.monotonic() + jobs.lease_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease {run.job_id}", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        # An extension on its way to a slow database is not waited for: it matches nothing once the run has ended.
        self._thread.join(END_SECONDS)

    def _keep(self) -> None:
        every = self._jobs.lease_seconds / 4
        written, extended = 0, time.monotonic()
        while not self._ended.wait(min(1.0, every)) and not self.lost.is_set():
            due = time.monotonic() - extended >= every
            if time.monotonic() >= self._deadline:
                self.lost.set()
            elif due or self.progress != written:
                progress = self.progress
                if self._extend(progress):
                    written, extended = progress, time.monotonic()

    def _extend(self, progress: int) -> bool:
        asked = time.monotonic()
        try:
            held = self._jobs.extend(self._run, progress)
        except AWAY:
            log.warning("the lease could not be extended", extra={"job": self._run.job_id})
            if time.monotonic() >= self._until:
                self.lost.set()
            return False
        self._until = asked + self._jobs.lease_seconds
        if not held:
            self.lost.set()
        return held
