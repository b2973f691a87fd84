"""What convert does: take the job, run the child, store the MP3, commit, announce."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import PurePath

from cloudevents.http import CloudEvent

from functions.common import litter, outbox, runs
from functions.common.draining import PROCESS, Draining, ShuttingDown
from functions.common.files import CHUNK_BYTES, MP3S, VIDEOS, Bucket, HoleError, Writer
from functions.common.jobrecord import Run
from functions.common.jobs import Jobs
from functions.common.killpoints import reach
from functions.common.lease import Lease
from functions.common.logs import fields
from functions.common.mongo import AWAY, Document
from functions.common.publisher import Publisher
from functions.common.web import Problem, Unavailable
from functions.convert.child import Result, convert
from functions.convert.errors import ChildDied, MediaError, NotCopyable, Stopped
from functions.convert.stopping import Stop

log = logging.getLogger(__name__)

BUSY_SECONDS = 20.0  # a run that Knative cut off may still work in this process


@dataclass(frozen=True)
class Services:
    """What convert works with. `gate` lets one conversion at a time into this process."""

    jobs: Jobs
    videos: Bucket
    mp3s: Bucket
    publisher: Publisher
    conversion_seconds: float
    run_seconds: float
    result_days: float
    convert: Callable[..., Result] = convert
    gate: threading.Lock = field(default_factory=threading.Lock)
    draining: Draining = PROCESS


def handle(event: CloudEvent, services: Services) -> None:
    """Converts the video of the job that the event names, if that is still to be done."""
    reach("C1")
    job_id = runs.subject(event)
    with fields(job=job_id, event=event["id"]):
        if not services.gate.acquire(timeout=BUSY_SECONDS):
            raise Problem(409, "busy", "This process is converting another video.")
        try:
            run = runs.begin(services.jobs, "convert", job_id, services.draining)
            if run is None:
                log.info("nothing to convert")
            elif run.gave_up:
                _fail(services, run, "gave_up")
            else:
                _attempt(services, run)
        finally:
            services.gate.release()


def _attempt(services: Services, run: Run) -> None:
    reach("C2")
    writer = services.mp3s.writer(run.file_id)
    try:
        with Lease(services.jobs, run, services.run_seconds) as lease:
            result = _convert(services, run, writer, lease)
            job = _commit(services, run, writer, result)
    except (MediaError, HoleError) as error:
        _fail(services, run, error.code if isinstance(error, MediaError) else "corrupt")
    except Stopped:
        _give_up(services, run, Unavailable("The run was out of time."), counted=True)
    except ShuttingDown as error:
        _give_up(services, run, error, counted=False)
    except AWAY as error:
        _give_up(services, run, Unavailable(), counted=False, cause=error)
    except ChildDied as error:
        _give_up(services, run, Unavailable("The converting child died."), counted=True, cause=error)
    except BaseException as error:
        _give_up(services, run, error, counted=True)
    else:
        _conclude(services, run, job)


def _convert(services: Services, run: Run, writer: Writer, lease: Lease) -> Result:
    video = run.job["video"]

    def fetch(numbers: Sequence[int]) -> list[bytes]:
        chunks = services.videos.batch(video["file_id"], video["length"], numbers)
        reach("C3")
        return chunks

    def progress(percent: int) -> None:
        reach("C4")
        lease.progress = percent

    deadline = time.monotonic() + services.conversion_seconds
    stop = Stop(lease, services.draining, deadline)
    convert = partial(services.convert, fetch, video["length"], CHUNK_BYTES, writer.write, progress, deadline, stop)
    options = run.job.get("options")
    try:
        try:
            return convert(options)
        except NotCopyable:
            writer.restart()
            return convert(options, may_copy=False)
    except Stopped:
        if stop.for_draining:
            raise ShuttingDown from None
        raise


def _commit(services: Services, run: Run, writer: Writer, result: Result) -> Document | None:
    filename = f"{PurePath(run.job['video']['filename']).stem or 'video'}.mp3"
    writer.finish(result.head)
    reach("C5")
    digest = services.mp3s.sha256(writer.file_id, writer.length)
    writer.close(filename, {"owner": run.job["owner"], "job": run.job_id, "sha256": digest})
    mp3 = {"file_id": writer.file_id, "filename": filename, "length": writer.length, "sha256": digest}
    reach("C6")
    return services.jobs.converted(run, mp3, result.figures, timedelta(days=services.result_days))


def _conclude(services: Services, run: Run, job: Document | None) -> None:
    if job is None:
        _lose(services, run)
        return
    log.info("converted", extra={"bytes": job["mp3"]["length"], **job["result"]})
    _announce(services, job)


def _fail(services: Services, run: Run, code: str) -> None:
    try:
        job = services.jobs.failed(run, code)
    except AWAY as error:
        raise Unavailable from error
    if job is None:
        _lose(services, run)
        return
    log.info("conversion failed", extra={"code": code})
    _announce(services, job)


def _announce(services: Services, job: Document) -> None:
    reach("C7")
    outbox.announce(services.jobs, services.publisher, job, "mp3")
    _sweep(services, job)


def _give_up(
    services: Services, run: Run, answer: BaseException, counted: bool, cause: BaseException | None = None
) -> None:
    """Hands the job back and raises `answer`; returns if the job is lost, or was committed after all."""
    try:
        back = runs.give_back(services.jobs, run, counted)
        committed = None if back else services.jobs.committed(run)
    except AWAY as error:
        raise Unavailable from error
    if committed:
        _conclude(services, run, committed)
    elif back:
        _sweep(services, back)
        raise answer from cause
    else:
        _lose(services, run)


def _lose(services: Services, run: Run) -> None:
    log.info("the job is no longer this run's")
    _sweep(services, {"_id": run.job_id, "litter": [{"bucket": MP3S, "file_id": run.file_id}]})


def _sweep(services: Services, job: Document) -> None:
    litter.sweep(services.jobs, {VIDEOS: services.videos, MP3S: services.mp3s}, job)
