"""What notify does: take the job's mail, send it, record what became of it."""

import logging
from dataclasses import dataclass
from functools import partial

from cloudevents.http import CloudEvent

from functions.common import runs
from functions.common.draining import PROCESS, Draining, ShuttingDown
from functions.common.jobrecord import Run
from functions.common.jobs import Jobs
from functions.common.killpoints import reach
from functions.common.lease import Lease
from functions.common.logs import fields
from functions.common.mongo import AWAY
from functions.common.web import Unavailable
from functions.notify.mail import DATA_SECONDS, MailAwayError, Mailer, MailRefusedError
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
    draining: Draining = PROCESS


def handle(event: CloudEvent, services: Services) -> None:
    """Sends the mail of the job that the event names, if that is still to be done."""
    reach("N1")
    job_id = runs.subject(event)
    with fields(job=job_id, event=event["id"]):
        run = runs.begin(services.jobs, "notify", job_id, services.draining)
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
    reach("N2")
    message = compose(run.job, services.sender, services.public_url)
    try:
        with Lease(services.jobs, run, RUN_SECONDS):
            services.mailer.send(message, partial(_before_data, services, run))
    except RunLostError:
        log.info("the mail is no longer this run's to send")
    except MailRefusedError as error:
        services.jobs.mail_failed(run, str(error))
        log.warning("the mail was refused", extra={"reason": str(error)})
    except (MailAwayError, ShuttingDown) as error:
        _later(services, run, error)
    else:
        reach("N5")
        services.jobs.mailed(run)
        reach("N6")
        log.info("mail sent")


def _before_data(services: Services, run: Run) -> None:
    # A mail that was handed over and not recorded goes out twice: better not to begin what may not fit.
    if services.draining.left < DATA_SECONDS:
        raise ShuttingDown
    if not services.jobs.sending(run):
        raise RunLostError


def _later(services: Services, run: Run, error: MailAwayError | ShuttingDown) -> None:
    if isinstance(error, ShuttingDown) or services.draining.ended:
        runs.give_back(services.jobs, run, counted=False)
        raise ShuttingDown from error
    services.jobs.put_off(run, str(error))
    log.log(logging.ERROR if error.ours else logging.WARNING, "the mail waits", extra={"reason": str(error)})
