"""The janitor's transitions of a job, compare-and-set like all others; the table is in functions/common/jobs.py."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.collection import Collection

from functions.common.failures import FAILURES
from functions.common.files import VIDEOS
from functions.common.jobrecord import ANNOUNCE, TERMINAL, UNFINISHED, dead, leases, not_before_passed, now
from functions.common.jobs import Jobs
from functions.common.mongo import Document, writing


@dataclass(frozen=True)
class Times:
    """After how many seconds the janitor acts; the design's values, which tests shorten."""

    dead_upload: float = 900
    redrive: float = 1800
    timeout: float = 7 * 86_400
    keep_records: float = 30 * 86_400


class Upkeep(Jobs):
    """The job records as the janitor sees and changes them."""

    def __init__(
        self, collection: Callable[[], Collection[Document]], times: Times, clock: Callable[[], datetime] = now
    ) -> None:
        super().__init__(collection, clock=clock)
        self._times = times

    def end_dead_uploads(self) -> int:
        """Ends uploads whose lease has been dead for long: nobody else will, and nobody got a 202."""
        filter_ = {"state": "uploading", "work.upload.until": {"$lt": self._ago(self._times.dead_upload)}}
        return self._move_all(filter_, {"state": "cancelled", "discarded": True}, unset=leases("upload") | {"key": ""})

    def time_out(self) -> int:
        """Fails what has not come to an end in all the time it had, and has no live run."""
        filter_ = {
            "state": {"$in": ["queued", "converting"]},
            "created": {"$lt": self._ago(self._times.timeout)},
            "$or": dead("work.convert", self._now()),
        }
        error = {"code": "timeout", "detail": FAILURES["timeout"]}
        change = {"state": "failed", "error": error, "mail.since": self._now(), "mail.tries": 0} | ANNOUNCE
        ended = 0
        for job in self._of().find(filter_):
            video = {"bucket": VIDEOS, "file_id": job["video"]["file_id"]}
            match = filter_ | {"_id": job["_id"]}
            unset = leases("convert")
            ended += self._move(match, change, {"outbox.mp3.n": 1}, unset=unset, add={"litter": video}) is not None
        return ended

    def redrive(self) -> int:
        """Announces again what a dead run or a lost message left lying; a job at most once in Times.redrive."""
        time, long_ago = self._now(), self._ago(self._times.redrive)
        brake = {"$and": [{"$or": [{"redriven": {"$exists": False}}, {"redriven": {"$lt": long_ago}}]}]}
        untouched = {**brake, "updated": {"$lt": long_ago}}
        video = {"outbox.video.state": "pending", "redriven": time}
        mail = {"outbox.mp3.state": "pending", "redriven": time}
        mailing = {"state": {"$in": ["done", "failed"]}}
        due = {"$or": not_before_passed(time)}
        dead_convert = {"state": "converting", "work.convert.until": {"$lte": time}, **brake}
        dead_mail = {**mailing, "mail.state": "sending", "work.notify.until": {"$lte": time}, **untouched}
        moved = self._move_all(
            dead_convert, video | {"state": "queued", "progress": 0}, {"outbox.video.n": 1}, unset=leases("convert")
        )
        moved += self._move_all({"state": "queued", **untouched}, video, {"outbox.video.n": 1})
        moved += self._move_all({**mailing, "mail.state": "pending", **due, **untouched}, mail, {"outbox.mp3.n": 1})
        moved += self._move_all(dead_mail, mail, {"outbox.mp3.n": 1})
        return moved

    def expire_old(self) -> int:
        """Ends the time of MP3s whose time is over."""
        old = self._of().find({"state": "done", "expires": {"$lte": self._now()}})
        return sum(self.expire(job) is not None for job in old)

    def littered(self) -> Iterator[Document]:
        """Jobs with litter that no run can want any more: terminal, or nobody has them."""
        idle = {"work.upload.token": {"$exists": False}, "work.convert.token": {"$exists": False}}
        filter_ = {"litter.0": {"$exists": True}, "$or": [{"state": {"$in": list(TERMINAL)}}, idle]}
        return iter(self._of().find(filter_, sort=[("updated", ASCENDING)]))

    def forget_old(self) -> int:
        """Removes records that were kept long enough or never became a job; none with litter."""
        old = {
            "state": {"$in": ["failed", "cancelled", "expired"]},
            "updated": {"$lt": self._ago(self._times.keep_records)},
        }
        forgotten = 0
        for filter_ in ({"discarded": True, "litter": []}, old | {"litter": []}):
            with writing():
                forgotten += self._of().delete_many(filter_).deleted_count
        return forgotten

    def names(self, file_id: ObjectId) -> bool:
        """Whether any job wants this file or has it as litter; an ended job's bare mention of a file keeps nothing."""
        wanted = {"video.file_id": file_id, "state": {"$in": list(UNFINISHED)}}
        kept = {"mp3.file_id": file_id, "state": "done"}
        return self._of().find_one({"$or": [wanted, kept, {"litter.file_id": file_id}]}, {"_id": 1}) is not None

    def _move_all(
        self, filter_: Document, change: Document, inc: dict[str, int] | None = None, *, unset: Document | None = None
    ) -> int:
        moved = 0
        for job in list(self._of().find(filter_, {"_id": 1})):
            moved += self._move(filter_ | {"_id": job["_id"]}, change, inc, unset=unset) is not None
        return moved

    def _ago(self, seconds: float) -> datetime:
        return self._now() - timedelta(seconds=seconds)
