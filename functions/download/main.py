"""Download: what an owner sees of jobs, and the MP3s.

GET    /v1/jobs          200, newest first, in pages
GET    /v1/jobs/{id}     200 404
DELETE /v1/jobs/{id}     204 404: cancels an unfinished job, removes a finished one's files
GET    /v1/mp3s/{id}     200 206 304 404 410 412 416, also HEAD
GET    /download         the original's: ?id= or ?fid=
All: 400 401 404 405, 503 when MongoDB is away.
"""

from dataclasses import dataclass, field
from pathlib import Path

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from functions.common.deferred import Deferred
from functions.common.settings import load
from functions.common.web import Routes


@dataclass(frozen=True)
class Settings:
    """What download needs."""

    token_keys_file: Path
    mongo_url: str = field(repr=False)


settings = load(Settings)


@Deferred
def routes() -> Routes:
    """The wiring."""
    from functions.common.files import MP3S, VIDEOS, Bucket
    from functions.common.jobs import Jobs
    from functions.common.mongo import AWAY, Mongo
    from functions.common.tokens import Verifier
    from functions.download import handler

    mongo = Mongo(settings.mongo_url)
    services = handler.Services(
        verifier=Verifier(settings.token_keys_file),
        jobs=Jobs(lambda: mongo.database["jobs"]),
        videos=Bucket(mongo, VIDEOS),
        mp3s=Bucket(mongo, MP3S),
    )
    return Routes(handler.routes(services), unavailable=AWAY)


@functions_framework.http
def download(request: Request) -> Response:
    """Answers one request."""
    return routes()(request)
