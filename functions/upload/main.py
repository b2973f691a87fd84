"""Upload: keeps a video, writes the job, asks for its conversion.

POST /v1/jobs   202 with Location and the job; 400 401 409 413 415 422, 503 when MongoDB is away, 507 when it is full
POST /upload    the original's call, the same answer
GET  /check     204 401 403: what the gateway asks before it lets a body through; reads headers only
All: 404 405.
"""

from dataclasses import dataclass, field
from pathlib import Path

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from functions.common.deferred import Deferred
from functions.common.limits import below_limit, check
from functions.common.settings import load
from functions.common.web import Routes


@dataclass(frozen=True)
class Settings:
    """What upload needs; `max_upload_bytes` bounds the file, `lease_seconds` is how long a dead upload seems alive."""

    token_keys_file: Path
    mongo_url: str = field(repr=False)
    rabbitmq_url: str = field(repr=False)
    max_upload_bytes: int = 2 << 30
    lease_seconds: float = 60


settings = load(Settings)
check(
    __name__,
    below_limit("upload", LEASE_SECONDS=settings.lease_seconds),
    {"MAX_UPLOAD_BYTES": settings.max_upload_bytes},
)


@Deferred
def routes() -> Routes:
    """The wiring."""
    from functions.common.files import VIDEOS, Bucket
    from functions.common.jobs import Jobs
    from functions.common.mongo import AWAY, Mongo
    from functions.common.publisher import Publisher
    from functions.common.tokens import Verifier
    from functions.upload import handler

    mongo = Mongo(settings.mongo_url)
    services = handler.Services(
        verifier=Verifier(settings.token_keys_file),
        jobs=Jobs(lambda: mongo.database["jobs"], settings.lease_seconds),
        videos=Bucket(mongo, VIDEOS),
        publisher=Publisher(settings.rabbitmq_url),
        max_bytes=settings.max_upload_bytes,
    )
    return Routes(handler.routes(services), unavailable=AWAY)


@functions_framework.http
def upload(request: Request) -> Response:
    """Answers one request."""
    return routes()(request)
