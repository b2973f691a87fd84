"""Convert: makes the MP3 of a job's video.

Takes the event video.uploaded.v1; announces mp3.ready.v1 or conversion.failed.v1.
200 when done, known already, or failed for good; 409 when another run has the job, 422 without a readable job
id, 503 when a dependency is away or the child died. What a video itself is to blame for is recorded, never retried.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import functions_framework
from cloudevents.http import CloudEvent

from functions.common.deferred import Deferred
from functions.common.limits import below_limit, check
from functions.common.settings import load


@dataclass(frozen=True)
class Settings:
    """What convert needs: `conversion_seconds` bounds the child, `run_seconds` the whole run."""

    mongo_url: str = field(repr=False)
    rabbitmq_url: str = field(repr=False)
    conversion_seconds: float = 480
    run_seconds: float = 560
    result_days: float = 7
    lease_seconds: float = 60


log = logging.getLogger(__name__)
settings = load(Settings)
check(
    __name__,
    below_limit("convert", CONVERSION_SECONDS=settings.conversion_seconds, RUN_SECONDS=settings.run_seconds),
    {"LEASE_SECONDS": settings.lease_seconds, "RUN_SECONDS": settings.run_seconds},
    {"RESULT_DAYS": settings.result_days},
)


@Deferred
def handle() -> Callable[[CloudEvent], None]:
    """The wiring."""
    from functions.common.files import MP3S, VIDEOS, Bucket
    from functions.common.jobs import Jobs
    from functions.common.mongo import Mongo
    from functions.common.publisher import Publisher
    from functions.convert import cage, handler

    log.info("the converting child's cage", extra=cage.in_force())
    mongo = Mongo(settings.mongo_url)
    services = handler.Services(
        jobs=Jobs(lambda: mongo.database["jobs"], settings.lease_seconds),
        videos=Bucket(mongo, VIDEOS),
        mp3s=Bucket(mongo, MP3S),
        publisher=Publisher(settings.rabbitmq_url),
        conversion_seconds=settings.conversion_seconds,
        run_seconds=settings.run_seconds,
        result_days=settings.result_days,
    )
    return lambda event: handler.handle(event, services)


@functions_framework.cloud_event
def convert(event: CloudEvent) -> None:
    """Handles one event."""
    handle()(event)
