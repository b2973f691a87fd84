"""What download does: lists, shows and ends jobs, and hands out MP3s."""

import binascii
import json
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bson import ObjectId
from flask import Request
from werkzeug.wrappers import Response

from functions.common.files import MP3S, VIDEOS, Bucket
from functions.common.jobrecord import now
from functions.common.jobs import Jobs
from functions.common.litter import sweep
from functions.common.mongo import Document, budget
from functions.common.tokens import Verifier
from functions.common.views import job_view
from functions.common.web import NOT_FOUND, Problem, Route, answer
from functions.download.content import serve

log = logging.getLogger(__name__)

PAGE = 20
LONGEST_PAGE = 100


@dataclass(frozen=True)
class Services:
    """What download works with."""

    verifier: Verifier
    jobs: Jobs
    videos: Bucket
    mp3s: Bucket


def routes(services: Services) -> list[Route]:
    """The calls that download answers."""
    return [
        ("GET", "/v1/jobs", partial(list_jobs, services)),
        ("GET", "/v1/jobs/<job_id>", partial(show_job, services)),
        ("DELETE", "/v1/jobs/<job_id>", partial(end_job, services)),
        ("GET", "/v1/mp3s/<file_id>", partial(fetch_mp3, services)),
        ("GET", "/download", partial(fetch_by_query, services)),
    ]


def list_jobs(services: Services, request: Request) -> Response:
    """One page of the account's jobs, newest first, and where the next one is."""
    account = services.verifier.account(request)
    limit = _limit(request)
    after = _cursor(request.args["cursor"]) if "cursor" in request.args else None
    with budget():
        jobs = services.jobs.page(account.id, limit + 1, after)
    page, more = jobs[:limit], len(jobs) > limit
    following = f"/v1/jobs?limit={limit}&cursor={_mark(page[-1])}" if more else None
    headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    return answer({"jobs": [job_view(job) for job in page], "next": following}, headers=headers)


def show_job(services: Services, request: Request, job_id: str) -> Response:
    """One job; whoever polls is told how soon to come again."""
    account = services.verifier.account(request)
    with budget():
        job = services.jobs.get(job_id, account.id)
    if job is None:
        raise NOT_FOUND
    waiting = job["state"] in ("uploading", "queued", "converting")
    return answer(job_view(job), headers={"Retry-After": "2"} if waiting else {})


def end_job(services: Services, request: Request, job_id: str) -> Response:
    """Cancels the job if it is unfinished, else removes what it made; done twice it is the same."""
    account = services.verifier.account(request)
    with budget():
        job = services.jobs.get(job_id, account.id)
        if job is None:
            raise NOT_FOUND
        ended = services.jobs.cancel(job) or ("mp3" in job and services.jobs.expire(job)) or None
    if ended:
        log.info("ended by its owner", extra={"job": job_id, "state": ended["state"]})
        with budget():
            sweep(services.jobs, {VIDEOS: services.videos, MP3S: services.mp3s}, ended)
    return Response(status=204)


def fetch_mp3(services: Services, request: Request, file_id: str) -> Response:
    """The MP3, or the range of it that was asked for."""
    account = services.verifier.account(request)
    if not ObjectId.is_valid(file_id):
        raise NOT_FOUND
    with budget():
        job = services.jobs.of_mp3(ObjectId(file_id), account.id)
    if job is None:
        raise NOT_FOUND
    if job["state"] != "done" or job["expires"] <= now():
        raise Problem(410, "expired", "This MP3 was removed, or its time was over.")
    return serve(request, services.mp3s, job["mp3"])


def fetch_by_query(services: Services, request: Request) -> Response:
    """The original's call: the id in the query."""
    return fetch_mp3(services, request, request.args.get("id") or request.args.get("fid") or "")


def _limit(request: Request) -> int:
    text = request.args.get("limit", str(PAGE))
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= LONGEST_PAGE):
        raise Problem(400, "malformed_request", f"`limit` is a number from 1 to {LONGEST_PAGE}.")
    return int(text)


def _mark(job: Document) -> str:
    return urlsafe_b64encode(json.dumps([job["created"].isoformat(), job["_id"]]).encode()).decode()


def _cursor(text: str) -> tuple[datetime, str]:
    try:
        created, job_id = json.loads(urlsafe_b64decode(text.encode("ascii")))
        return datetime.fromisoformat(created).astimezone(), str(job_id)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise Problem(400, "malformed_request", "`cursor` is not one that this service gave out.") from None
