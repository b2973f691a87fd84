"""Notify: tells the owner by mail that the MP3 is ready, or why there is none.

Takes the events mp3.ready.v1 and conversion.failed.v1; announces nothing.
200 when sent, sent already, or refused for good; 409 when another run has the job, 422 without a readable job id, 503
when MongoDB or the mail server is away. The recipient is the job's, never the event's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import functions_framework
from cloudevents.http import CloudEvent

from functions.common.deferred import Deferred
from functions.common.limits import below_limit, check
from functions.common.settings import load


@dataclass(frozen=True)
class Settings:
    """What notify needs; `public_url` is the address that the mail tells to fetch from."""

    mail_from: str
    mongo_url: str = field(repr=False)
    smtp_url: str = field(repr=False)
    public_url: str = ""
    lease_seconds: float = 60
    mail_wait_seconds: float = 60


settings = load(Settings)
check(__name__, below_limit("notify", LEASE_SECONDS=settings.lease_seconds))


@Deferred
def handle() -> Callable[[CloudEvent], None]:
    """The wiring."""
    from functions.common.jobs import Jobs
    from functions.common.mongo import Mongo
    from functions.notify import handler
    from functions.notify.mail import Mailer

    mongo = Mongo(settings.mongo_url)
    services = handler.Services(
        jobs=Jobs(
            lambda: mongo.database["jobs"],
            settings.lease_seconds,
            mail_unit=timedelta(seconds=settings.mail_wait_seconds),
        ),
        mailer=Mailer(settings.smtp_url),
        sender=settings.mail_from,
        public_url=settings.public_url,
    )
    return lambda event: handler.handle(event, services)


@functions_framework.cloud_event
def notify(event: CloudEvent) -> None:
    """Handles one event."""
    handle()(event)
