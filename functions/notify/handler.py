"""What notify does: take the job's mail, send it, record what became of it."""

import logging
from dataclasses import dataclass

from cloudevents.http import CloudEvent

from functions.common import runs
from functions.common.jobrecord import Run
from functions.common.jobs import Jobs
from functions.common.lease import Lease
from functions.common.logs import fields
from functions.common.mongo import AWAY
from functions.common.web import Unavailable
from functions.notify.mail import MailAwayError, Mailer, MailRefusedError
from functions.notify.message import compose

log = logging.getLogger(__name__)

RUN_SECONDS = 240


class RunLostError(Exception):
    """The job's mail is no longer this run's to send."""


@dataclass(frozen=True)
class Services:
    """What notify works with."""

    jobs: Jobs
    mailer: Mailer
    sender: str
    public_url: str


def handle(event: CloudEvent, services: Services) -> None:
    """Sends the mail of the job that the event names, if that is still to be done."""
    job_id = runs.subject(event)
    with fields(job=job_id, event=event["id"]):
        run = runs.begin(services.jobs, "notify", job_id)
        if run is None:
            log.info("no mail to send")
            return
        try:
            if run.gave_up:
                services.jobs.mail_failed(run, "gave_up")
            else:
                _send(services, run)
        except AWAY as error:
            # What was sent may be recorded or not: the lease lapses, and the same Message-ID goes out again.
            raise Unavailable from error


def _send(services: Services, run: Run) -> None:
    def before_data() -> None:
        if not services.jobs.sending(run):
            raise RunLostError

    message = compose(run.job, services.sender, services.public_url)
    try:
        with Lease(services.jobs, run, RUN_SECONDS):
            services.mailer.send(message, before_data)
    except RunLostError:
        log.info("the mail is no longer this run's to send")
    except MailRefusedError as error:
        services.jobs.mail_failed(run, str(error))
        log.warning("the mail was refused", extra={"reason": str(error)})
    except MailAwayError as error:
        services.jobs.put_off(run, str(error))
        log.log(logging.ERROR if error.ours else logging.WARNING, "the mail waits", extra={"reason": str(error)})
    else:
        services.jobs.mailed(run)
        log.info("mail sent")
