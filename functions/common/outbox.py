"""Publishes what a job announces. The job record is the outbox: what fails here stays `pending` for the janitor."""

import logging
import time

from functions.common import events
from functions.common.jobrecord import QUEUE_STATES
from functions.common.jobs import Jobs
from functions.common.killpoints import UNMARKED, reach
from functions.common.mongo import AWAY, Document, budget
from functions.common.parcel import PublishError
from functions.common.publisher import Publisher

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 5.0
FAILURES: tuple[type[Exception], ...] = (PublishError, *AWAY)


def announce(jobs: Jobs, publisher: Publisher, job: Document, queue: str, within: float = PUBLISH_SECONDS) -> bool:
    """Publishes what `job` has pending on `queue` and marks it sent, both `within` so many seconds.

    Never raises; False: it stays pending.
    """
    if job["state"] not in QUEUE_STATES[queue]:
        return True  # a commit that was settled late: the job has gone on, or ended, since
    until = time.monotonic() + within
    event = events.announcement(job["_id"], job["state"])
    try:
        publisher.publish(queue, event, min(within, PUBLISH_SECONDS))
        reach(UNMARKED[queue])
        with budget(until - time.monotonic()):
            jobs.mark_sent(job, queue)
    except FAILURES as error:
        log.warning("not announced, the janitor will", extra={"job": job["_id"], "queue": queue, "reason": str(error)})
        return False
    return True
