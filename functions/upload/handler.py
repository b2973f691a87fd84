"""What upload does: refuses early or stores whole, then answers 202, then asks for the conversion."""

import hashlib
import logging
import re
from dataclasses import dataclass
from functools import partial
from itertools import chain

from flask import Request
from werkzeug.wrappers import Response

from functions.common import litter, outbox
from functions.common.files import VIDEOS, Bucket, Writer
from functions.common.jobrecord import Run
from functions.common.jobs import Jobs
from functions.common.killpoints import reach
from functions.common.lease import Lease
from functions.common.logs import fields
from functions.common.mongo import AWAY, Document, StorageFullError, budget
from functions.common.publisher import Publisher
from functions.common.tokens import Account, Verifier
from functions.common.views import job_view
from functions.common.web import Problem, Route, answer
from functions.upload.body import FORM_BYTES, Body
from functions.upload.media import HEAD_BYTES, looks_like_media
from functions.upload.waiting import Waiting

log = logging.getLogger(__name__)

RUN_SECONDS = 600
UNDO_SECONDS = 0.75  # with what an upload may wait, less than the 10 s in which an answer has to come
ANNOUNCE_SECONDS = 0.75  # with less left it is not tried: an operation that is broken off costs its connection
FULL_RETRY_SECONDS = 60
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True)
class Services:
    """What upload works with."""

    verifier: Verifier
    jobs: Jobs
    videos: Bucket
    publisher: Publisher
    max_bytes: int


def routes(services: Services) -> list[Route]:
    """The calls that upload answers."""
    return [
        ("POST", "/v1/jobs", partial(create, services)),
        ("POST", "/upload", partial(create, services)),
        ("GET", "/check", partial(check, services)),
    ]


def check(services: Services, request: Request) -> Response:
    """Whether a body with these headers may come; NGINX passes on 401 and 403 alone, so the rest hides in a header."""
    try:
        services.verifier.account(request)
        length = request.headers.get("X-Original-Length", type=int)
        _refuse_length(services, length, request.headers.get("X-Original-Type", ""))
    except Problem as problem:
        status = 401 if problem.code == 401 else 403
        headers = {"X-Refusal": str(problem.code), "X-Problem": problem.name_of_problem, **problem.headers}
        return Response(status=status, headers=headers)
    return Response(status=204)


def create(services: Services, request: Request) -> Response:
    """Stores the video and answers with its job; under a known Idempotency-Key, with the job that is there."""
    account = services.verifier.account(request)
    _refuse_length(services, request.content_length, request.mimetype)
    body = Body(request)
    try:
        job = _accept(services, account, body, _key(request))
    except (Problem, StorageFullError) as refusal:
        # What is refused only now is read to its end: the answer would else reach the client as a reset.
        body.drain(services.max_bytes + FORM_BYTES)
        if isinstance(refusal, StorageFullError):
            raise _storage_full(refusal) from refusal
        raise
    headers = {"Location": f"/v1/jobs/{job['_id']}", "Retry-After": "2"}
    return answer(job_view(job), 202, headers)


def _key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(400, "malformed_request", "An Idempotency-Key has 1 to 255 visible ASCII characters.")
    return key


def _accept(services: Services, account: Account, body: Body, key: str | None) -> Document:
    waiting = Waiting()
    with waiting:
        known = services.jobs.of_key(account.id, key) if key else None
    if known and known["state"] != "uploading":
        return _replayed(services, known, body)
    head = body.head(HEAD_BYTES)
    body.options()  # refused before anything is stored, if they are known by now
    if not looks_like_media(head):
        raise Problem(415, "not_media", "This does not look like a video or sound file.")
    with waiting:
        if known:
            run = services.jobs.take_over(known, body.filename)
        else:
            reach("U1")
            run = services.jobs.begin(account.id, account.email, body.filename, key)
    if run is None:
        raise Problem(
            409, "in_flight", "The upload under this Idempotency-Key is still under way.", {"Retry-After": "5"}
        )
    with fields(job=run.job_id):
        job = _store(services, account, run, body, head, waiting)
        log.info("video stored", extra={"bytes": job["video"]["length"]})
        reach("U4")
        # After the commit nothing makes an error of the 202: what there is no time for is left to the janitor.
        if waiting.left > ANNOUNCE_SECONDS:
            outbox.announce(services.jobs, services.publisher, job, "video", waiting.left)
        reach("U7")
    return job


def _replayed(services: Services, job: Document, body: Body) -> Document:
    """The job under the key, if it is the same file that comes again; hashed, not stored."""
    digest, length = hashlib.sha256(), 0
    for piece in body:
        digest.update(piece)
        length += len(piece)
        if length > services.max_bytes:
            raise _too_large(services)
    if digest.hexdigest() != job["video"].get("sha256") or body.options().document != job.get("options", {}):
        raise Problem(422, "key_reused", "There was another file, or another option, under this Idempotency-Key.")
    return job


def _refuse_length(services: Services, length: int | None, content_type: str) -> None:
    allowed = services.max_bytes + (FORM_BYTES if content_type.startswith("multipart/form-data") else 0)
    if length is not None and length > allowed:
        raise _too_large(services)


def _too_large(services: Services) -> Problem:
    return Problem(413, "too_large", f"A file may be at most {services.max_bytes} bytes long.")


def _storage_full(reason: StorageFullError) -> Problem:
    log.error("MongoDB has no room", extra={"reason": str(reason)})
    detail = "There is no room for another video at the moment. Please try again later."
    return Problem(507, "storage_full", detail, {"Retry-After": str(FULL_RETRY_SECONDS)})


def _store(services: Services, account: Account, run: Run, body: Body, head: bytes, waiting: Waiting) -> Document:
    writer = services.videos.writer(run.file_id)
    try:
        with Lease(services.jobs, run, RUN_SECONDS) as lease:
            digest = _copy(services, chain([head], body), writer, lease)
            if writer.begun:
                waiting.renew(body.received)
            with waiting:
                writer.close(body.filename, {"owner": account.id, "job": run.job_id, "sha256": digest})
                reach("U3")
                job = services.jobs.uploaded(run, writer.length, digest, body.options().document)
        if job is None:
            raise _cancelled()
    except BaseException:
        # A commit that had no answer may have happened.
        if committed := _undo(services, run):
            return committed
        raise
    return job


def _copy(services: Services, pieces: "chain[bytes]", writer: Writer, lease: Lease) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        if writer.length + len(piece) > services.max_bytes:
            raise _too_large(services)
        if lease.lost.is_set():
            raise _cancelled()
        digest.update(piece)
        writer.write(piece)
    reach("U2")
    return digest.hexdigest()


def _cancelled() -> Problem:
    return Problem(409, "cancelled", "The job was cancelled, or its upload took too long.")


def _undo(services: Services, run: Run) -> Document | None:
    """Ends the job and removes its file, unless it was committed after all: then that is the job."""
    try:
        with budget(UNDO_SECONDS):
            ended = services.jobs.discard(run)
            if ended is None and (committed := services.jobs.committed(run)):
                return committed
            litter.remove(services.jobs, services.videos, run.job_id, run.file_id)
            if ended and litter.sweep(services.jobs, {VIDEOS: services.videos}, ended):
                services.jobs.forget(run.job_id)
    except AWAY:
        log.warning("an upload could not be undone, the janitor will", extra={"job": run.job_id})
    return None
