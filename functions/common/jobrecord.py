"""What a job record is made of: a run's hold on it, the filters that transitions match by, the indexes, the reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection

from functions.common.mongo import Document

UNFINISHED = ("uploading", "queued", "converting")
TERMINAL = ("done", "failed", "cancelled", "expired")
ATTEMPTS = 5  # takes of a stage that may end without a result; the next one records that we gave up

STATES = {"upload": ["uploading"], "convert": ["converting"], "notify": ["done", "failed"]}
QUEUE_STATES = {"video": ["queued"], "mp3": ["done", "failed"]}
ANNOUNCE: Document = {"mail.state": "pending", "outbox.mp3.state": "pending"}

INDEXES = [
    IndexModel([("owner", ASCENDING), ("created", DESCENDING), ("_id", DESCENDING)]),
    IndexModel(
        [("owner", ASCENDING), ("key.value", ASCENDING)],
        unique=True,
        partialFilterExpression={"key.value": {"$exists": True}},
    ),
    *(IndexModel([(name, ASCENDING)], sparse=True) for name in ("video.file_id", "mp3.file_id", "litter.file_id")),
    IndexModel([("state", ASCENDING), ("updated", ASCENDING)]),
    *(IndexModel([(f"outbox.{q}.state", ASCENDING), ("updated", ASCENDING)], sparse=True) for q in ("video", "mp3")),
]


class LeaseHeldError(Exception):
    """Another run works on this stage of the job and its lease is alive."""


@dataclass(frozen=True)
class Run:
    """One run of one stage: the right to write to the job for as long as its token stands there.

    `file_id` is the file that the run may write: the video of an upload, the MP3 of a conversion.
    """

    stage: str
    job: Document
    token: str
    file_id: ObjectId

    @property
    def job_id(self) -> str:
        """The job's id."""
        return str(self.job["_id"])

    @property
    def gave_up(self) -> bool:
        """Whether all attempts have been used, so that this run may only record that."""
        return int(self.job["work"][self.stage]["attempts"]) > ATTEMPTS

    @property
    def litter_without_its_file(self) -> list[Document]:
        """The job's litter as the run found it, but for its own file: what a commit leaves of it."""
        return [entry for entry in self.job.get("litter", []) if entry["file_id"] != self.file_id]


def now() -> datetime:
    """The time in UTC, to the millisecond: what MongoDB keeps."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def ready(stage: str, time: datetime) -> Document:
    """Matches jobs at `stage`, whoever has them."""
    if stage == "convert":
        return {"state": {"$in": ["queued", "converting"]}}
    due = {"$and": [{"$or": not_before_passed(time)}]}
    return {"state": {"$in": STATES[stage]}, "mail.state": {"$in": ["pending", "sending"]}, **due}


def dead(lease: str, time: datetime) -> list[Document]:
    """Alternatives that match a stage that no live run has."""
    return [{f"{lease}.until": {"$exists": False}}, {f"{lease}.until": {"$lte": time}}]


def not_before_passed(time: datetime) -> list[Document]:
    """Alternatives that match a mail that is due."""
    return [{"mail.not_before": {"$exists": False}}, {"mail.not_before": {"$lte": time}}]


def held(run: Run) -> Document:
    """Matches the job for as long as it is the run's."""
    return {"_id": run.job_id, "state": {"$in": STATES[run.stage]}, f"work.{run.stage}.token": run.token}


def leases(*stages: str) -> Document:
    """What to unset so that no run has these stages."""
    return {f"work.{stage}.{field}": "" for stage in stages for field in ("token", "until")}


class Records:
    """The collection `jobs`, as far as it is only read."""

    def __init__(
        self,
        collection: Callable[[], Collection[Document]],
        lease_seconds: float = 60,
        clock: Callable[[], datetime] = now,
        mail_unit: timedelta = timedelta(minutes=1),
    ) -> None:
        self._of = collection
        self._mail_unit = mail_unit
        self.lease_seconds = lease_seconds
        self._now = clock

    def get(self, job_id: str, owner: str) -> Document | None:
        """The job, if it is this owner's."""
        return self._of().find_one({"_id": job_id, "owner": owner, "discarded": {"$exists": False}})

    def of_mp3(self, file_id: ObjectId, owner: str) -> Document | None:
        """The job that made this MP3, if it is this owner's."""
        return self._of().find_one({"mp3.file_id": file_id, "owner": owner})

    def page(self, owner: str, limit: int, after: tuple[datetime, str] | None = None) -> list[Document]:
        """The owner's jobs, newest first, from the one behind `after` (created, id) on."""
        filter_: Document = {"owner": owner, "discarded": {"$exists": False}}
        if after:
            created, job_id = after
            filter_["$or"] = [{"created": {"$lt": created}}, {"created": created, "_id": {"$lt": job_id}}]
        order = [("created", DESCENDING), ("_id", DESCENDING)]
        return list(self._of().find(filter_, sort=order, limit=limit))

    def of_key(self, owner: str, key: str) -> Document | None:
        """The account's job under this Idempotency-Key."""
        return self._of().find_one({"owner": owner, "key.value": key, "key.until": {"$gt": self._now()}})

    def committed(self, run: Run) -> Document | None:
        """Settles a commit that had no answer: the job, if it names the run's file among its results."""
        name = "video" if run.stage == "upload" else "mp3"
        # The length is set by the commit alone; the upload's file id stands there from the beginning.
        return self._of().find_one(
            {"_id": run.job_id, f"{name}.file_id": run.file_id, f"{name}.length": {"$exists": True}}
        )

    def pending(self, queue: str, seconds: float) -> Iterator[Document]:
        """Jobs whose event on `queue` is due and has waited for longer than `seconds`, the longest first."""
        time = self._now()
        filter_: Document = {
            f"outbox.{queue}.state": "pending",
            "updated": {"$lt": time - timedelta(seconds=seconds)},
            "state": {"$in": QUEUE_STATES[queue]},
        }
        if queue == "mp3":
            filter_["$or"] = not_before_passed(time)
        return iter(self._of().find(filter_, sort=[("updated", ASCENDING)]))
