"""How an event function begins and gives up a run: what its database says, as the answer that the source needs.

409 comes back through the delay queue, 503 is retried in place first, 422 is for whoever looks at parked messages.
"""

import logging
import time

from cloudevents.http import CloudEvent

from functions.common import events
from functions.common.draining import PROCESS, Draining, ShuttingDown
from functions.common.jobrecord import LeaseHeldError, Run
from functions.common.jobs import Jobs
from functions.common.mongo import AWAY, Document, budget
from functions.common.web import Problem, Unavailable

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0


def subject(event: CloudEvent) -> str:
    """The id of the job that the event is about. Raises the 422 problem."""
    try:
        return events.job_id(event)
    except events.UnreadableEventError as error:
        raise Problem(422, "unreadable_event", str(error)) from None


def begin(jobs: Jobs, stage: str, job_id: str, draining: Draining = PROCESS) -> Run | None:
    """A run of `stage`, or None when there is nothing to do. Raises the 409 and 503 problems."""
    if draining.begun:
        raise ShuttingDown
    try:
        with budget():
            return jobs.take(stage, job_id)
    except LeaseHeldError:
        raise Problem(409, "held", "Another run has this job.") from None
    except AWAY as error:
        raise Unavailable from error


def give_back(jobs: Jobs, run: Run, counted: bool) -> Document | None:
    """Hands the run's job back, trying for as long as a lease lasts. None: it was no longer the run's.

    Raises one of AWAY when MongoDB said neither: then nothing may be removed.
    """
    deadline = time.monotonic() + jobs.lease_seconds
    while True:
        try:
            return jobs.hand_back(run, counted)
        except AWAY:
            if time.monotonic() >= deadline:
                log.warning("not handed back, the lease will lapse", extra={"job": run.job_id})
                raise
            time.sleep(PAUSE_SECONDS)
