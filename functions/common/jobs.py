"""The job record: the only truth about a job, and every transition of it, each one compare-and-set.

    state       becomes                by                   when
    (none)      uploading              begin                the first bytes look like media
    uploading   queued                 uploaded             the video is stored whole
    uploading   (none)                 discard              the upload was refused, broke off, or died
    queued      converting             take("convert")      an event arrived
    converting  converting             take("convert")      its lease is dead
    converting  queued                 hand_back            a dependency is away, or the child died (counted)
    converting  done, failed           converted, failed    the run ended
    uploading, queued, converting -> cancelled  cancel      the owner said so
    done        expired                expire               the owner said so

`done`, `failed`, `cancelled` and `expired` are terminal. The mail of a done or failed job has states of its own:
pending -> sending -> sent, or failed. Every write of a run matches the job, the state that it expects and the run's
token; one that matches nothing ends the run. Clocks decide only when a lease is thought dead.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.collection import Collection

from functions.common.failures import FAILURES
from functions.common.mongo import Document

UNFINISHED = ("uploading", "queued", "converting")
ATTEMPTS = 5  # takes of a stage that may end without a result; the next one records that we gave up

_STATES = {"upload": ["uploading"], "convert": ["converting"], "notify": ["done", "failed"]}
_QUEUE_STATES = {"video": ["queued"], "mp3": ["done", "failed"]}

INDEXES = [
    IndexModel([("owner", ASCENDING), ("created", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("mp3.file_id", ASCENDING)], sparse=True),
    IndexModel([("work.upload.until", ASCENDING)], sparse=True),
    IndexModel([("outbox.video.state", ASCENDING), ("updated", ASCENDING)], sparse=True),
    IndexModel([("outbox.mp3.state", ASCENDING), ("updated", ASCENDING)], sparse=True),
]


class LeaseHeldError(Exception):
    """Another run works on this stage of the job and its lease is alive."""


@dataclass(frozen=True)
class Run:
    """One run of one stage: the right to write to the job for as long as its token stands there."""

    stage: str
    job: Document
    token: str

    @property
    def job_id(self) -> str:
        """The job's id."""
        return str(self.job["_id"])

    @property
    def gave_up(self) -> bool:
        """Whether all attempts have been used, so that this run may only record that."""
        return int(self.job["work"][self.stage]["attempts"]) > ATTEMPTS


def now() -> datetime:
    """The time in UTC, to the millisecond: what MongoDB keeps."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class Jobs:
    """The collection `jobs`. `lease_seconds` is how long a run lives without extending its lease."""

    def __init__(
        self,
        collection: Callable[[], Collection[Document]],
        lease_seconds: float = 60,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._of = collection
        self.lease_seconds = lease_seconds
        self._now = clock

    # -- upload ------------------------------------------------------------------------------------------------

    def begin(self, owner: str, email: str, video: Document) -> Run:
        """A new job in `uploading`, leased to its upload; `video` holds the file's id and name."""
        token, time = str(uuid.uuid4()), self._now()
        job = {
            "_id": str(uuid.uuid4()),
            "owner": owner,
            "email": email,
            "state": "uploading",
            "progress": 0,
            "video": video,
            "work": {"upload": {"token": token, "until": self._until(time), "attempts": 1}},
            "created": time,
            "updated": time,
        }
        self._of().insert_one(job)
        return Run("upload", job, token)

    def uploaded(self, run: Run, length: int, sha256: str) -> Document | None:
        """uploading -> queued; from here on the job is safe. None: the run had lost the job."""
        change = {"state": "queued", "video.length": length, "video.sha256": sha256}
        return self._end(run, change | {"outbox.video.state": "pending"}, inc={"outbox.video.n": 1})

    def discard(self, run: Run) -> bool:
        """Removes a job whose upload did not come to an end."""
        return self._of().delete_one(_held(run)).deleted_count == 1

    def dead_uploads(self, seconds: float) -> Iterator[Run]:
        """Uploads whose lease has been dead for longer than `seconds`: nobody will end them, and nobody got a 202."""
        dead = self._now() - timedelta(seconds=seconds)
        for job in self._of().find({"state": "uploading", "work.upload.until": {"$lt": dead}}):
            yield Run("upload", job, job["work"]["upload"]["token"])

    # -- leases ------------------------------------------------------------------------------------------------

    def take(self, stage: str, job_id: str) -> Run | None:
        """Leases `stage` of the job to a new run. None: there is nothing to do. Raises LeaseHeldError."""
        token, time = str(uuid.uuid4()), self._now()
        lease = f"work.{stage}"
        change: Document = {f"{lease}.token": token, f"{lease}.until": self._until(time)}
        if stage == "convert":
            change["state"] = "converting"
        filter_ = {"_id": job_id, **_ready(stage), "$or": _dead(lease, time)}
        job = self._move(filter_, change, inc={f"{lease}.attempts": 1})
        if job is not None:
            return Run(stage, job, token)
        if self._of().find_one({"_id": job_id, **_ready(stage)}, {"_id": 1}):
            raise LeaseHeldError
        return None

    def extend(self, run: Run, progress: int = 0) -> bool:
        """Prolongs the run's lease and writes its progress (percent). False: the run has lost the job."""
        change: Document = {f"work.{run.stage}.until": self._until(self._now())}
        if run.stage == "convert":
            change["progress"] = progress
        return self._move(_held(run), change) is not None

    def hand_back(self, run: Run, counted: bool) -> bool:
        """Gives the stage to whoever comes next; an attempt that is not `counted` is as if it had not been."""
        back: Document = {"state": "queued", "progress": 0} if run.stage == "convert" else {"mail.state": "pending"}
        inc = {} if counted else {f"work.{run.stage}.attempts": -1}
        return self._end(run, back, inc) is not None

    # -- convert -----------------------------------------------------------------------------------------------

    def converted(self, run: Run, mp3: Document, result: Document, keep: timedelta) -> Document | None:
        """converting -> done; the MP3 is kept for `keep`. None: the run had lost the job."""
        done = {"state": "done", "progress": 100, "mp3": mp3, "result": result, "expires": self._now() + keep}
        return self._end(run, done | _ANNOUNCE, inc={"outbox.mp3.n": 1})

    def failed(self, run: Run, code: str) -> Document | None:
        """converting -> failed, with a code of functions.common.failures. None: the run had lost the job."""
        error = {"code": code, "detail": FAILURES[code]}
        return self._end(run, {"state": "failed", "error": error} | _ANNOUNCE, inc={"outbox.mp3.n": 1})

    # -- notify ------------------------------------------------------------------------------------------------

    def sending(self, run: Run) -> bool:
        """The mail is about to be handed over: from here on it may have gone out."""
        return self._move(_held(run), {"mail.state": "sending"}) is not None

    def mailed(self, run: Run) -> bool:
        """The mail server has taken the mail."""
        return self._end(run, {"mail.state": "sent"}) is not None

    def mail_failed(self, run: Run, reason: str) -> bool:
        """The mail will never be delivered."""
        return self._end(run, {"mail.state": "failed", "mail.reason": reason}) is not None

    # -- outbox ------------------------------------------------------------------------------------------------

    def mark_sent(self, job: Document, queue: str) -> bool:
        """The event that `job` announces on `queue` was published. False: a newer one is pending."""
        outbox = f"outbox.{queue}"
        filter_ = {"_id": job["_id"], f"{outbox}.state": "pending", f"{outbox}.n": job["outbox"][queue]["n"]}
        return self._move(filter_, {f"{outbox}.state": "sent"}) is not None

    def pending(self, queue: str, seconds: float) -> Iterator[Document]:
        """Jobs whose event on `queue` has waited for longer than `seconds`, the longest first."""
        filter_ = {
            f"outbox.{queue}.state": "pending",
            "updated": {"$lt": self._now() - timedelta(seconds=seconds)},
            "state": {"$in": _QUEUE_STATES[queue]},
        }
        return iter(self._of().find(filter_, sort=[("updated", ASCENDING)]))

    # -- the owner ---------------------------------------------------------------------------------------------

    def get(self, job_id: str, owner: str) -> Document | None:
        """The job, if it is this owner's."""
        return self._of().find_one({"_id": job_id, "owner": owner})

    def of_mp3(self, file_id: ObjectId, owner: str) -> Document | None:
        """The job that made this MP3, if it is this owner's."""
        return self._of().find_one({"mp3.file_id": file_id, "owner": owner})

    def page(self, owner: str, limit: int, after: tuple[datetime, str] | None = None) -> list[Document]:
        """The owner's jobs, newest first, from the one behind `after` (created, id) on."""
        filter_: Document = {"owner": owner}
        if after:
            created, job_id = after
            filter_["$or"] = [{"created": {"$lt": created}}, {"created": created, "_id": {"$lt": job_id}}]
        order = [("created", DESCENDING), ("_id", DESCENDING)]
        return list(self._of().find(filter_, sort=order, limit=limit))

    def cancel(self, job_id: str, owner: str) -> Document | None:
        """An unfinished job -> cancelled; its runs find out with their next write. None: it was not unfinished."""
        filter_ = {"_id": job_id, "owner": owner, "state": {"$in": list(UNFINISHED)}}
        return self._move(filter_, {"state": "cancelled"}, unset=_leases("upload", "convert"))

    def expire(self, job_id: str, owner: str) -> Document | None:
        """done -> expired; a mail that still waits is not sent any more. None: it was not done."""
        for mail, change in _EXPIRE_MAIL:
            filter_ = {"_id": job_id, "owner": owner, "state": "done", "mail.state": mail}
            if job := self._move(filter_, {"state": "expired", **change}, unset=_leases("notify")):
                return job
        return None

    # -- the one write -----------------------------------------------------------------------------------------

    def _end(self, run: Run, change: Document, inc: dict[str, int] | None = None) -> Document | None:
        return self._move(_held(run), change, inc, unset=_leases(run.stage))

    def _move(
        self, filter_: Document, change: Document, inc: dict[str, int] | None = None, unset: Document | None = None
    ) -> Document | None:
        update: Document = {"$set": change | {"updated": self._now()}}
        update |= {"$inc": inc} if inc else {}
        update |= {"$unset": unset} if unset else {}
        return self._of().find_one_and_update(filter_, update, return_document=ReturnDocument.AFTER)

    def _until(self, time: datetime) -> datetime:
        return time + timedelta(seconds=self.lease_seconds)


_ANNOUNCE: Document = {"mail.state": "pending", "outbox.mp3.state": "pending"}
_EXPIRE_MAIL: tuple[tuple[Any, Document], ...] = (
    ("pending", {"mail.state": "failed", "mail.reason": "removed"}),
    ({"$ne": "pending"}, {}),
)


def _ready(stage: str) -> Document:
    if stage == "convert":
        return {"state": {"$in": ["queued", "converting"]}}
    return {"state": {"$in": _STATES[stage]}, "mail.state": {"$in": ["pending", "sending"]}}


def _dead(lease: str, time: datetime) -> list[Document]:
    return [{f"{lease}.until": {"$exists": False}}, {f"{lease}.until": {"$lte": time}}]


def _held(run: Run) -> Document:
    return {"_id": run.job_id, "state": {"$in": _STATES[run.stage]}, f"work.{run.stage}.token": run.token}


def _leases(*stages: str) -> Document:
    return {f"work.{stage}.{field}": "" for stage in stages for field in ("token", "until")}
