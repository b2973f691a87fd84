"""The job record: the only truth about a job, and every transition of it, each one compare-and-set.

    state       becomes                by                   when
    (none)      uploading              begin                the first bytes look like media
    uploading   uploading              take_over            the same Idempotency-Key came again, the old run is dead
    uploading   queued                 uploaded             the video is stored whole
    uploading   cancelled              discard              the upload was refused, broke off, or died; then forgotten
    queued      converting             take("convert")      an event arrived
    converting  converting             take("convert")      its lease is dead
    converting  queued                 hand_back            a dependency is away, or the child died (counted)
    converting  done, failed           converted, failed    the run ended
    uploading, queued, converting -> cancelled  cancel      the owner said so
    done        expired                expire               the owner said so, or its time was over

The janitor adds (functions/janitor/upkeep.py): converting -> queued when the lease is dead, queued or converting ->
failed(timeout) after a week. `done`, `failed`, `cancelled` and `expired` are terminal. The mail of a done or failed
job has states of its own: pending -> sending -> sent or failed, or back to pending when it is put off.

Every write of a run matches the job, the state that it expects and the run's token; one that matches nothing ends the
run. Clocks decide only when a lease is thought dead. `litter` names files that exist, or may, and that the job does
not want: an id enters it before the first chunk is written and leaves it once file and chunks are gone.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from functions.common.failures import FAILURES
from functions.common.files import MP3S, VIDEOS
from functions.common.jobrecord import (
    ANNOUNCE,
    UNFINISHED,
    LeaseHeldError,
    Records,
    Run,
    dead,
    held,
    leases,
    ready,
)
from functions.common.mongo import Document, writing

# Until a mail that was put off is tried again, the last one over and over, and until that ends: in units of a minute.
MAIL_WAITS = (1, 5, 15, 60, 240)
MAIL_GIVES_UP = 48 * 60
KEY_LASTS = timedelta(hours=24)


class Jobs(Records):
    """The job records; `lease_seconds` is how long a run lives without extending its lease."""

    # -- upload ------------------------------------------------------------------------------------------------

    def begin(self, owner: str, email: str, filename: str, key: str | None = None) -> Run | None:
        """A new job in `uploading`, leased to its upload. None: the account has a job under this Idempotency-Key."""
        token, time, file_id = str(uuid.uuid4()), self._now(), ObjectId()
        job: Document = {
            "_id": str(uuid.uuid4()),
            "owner": owner,
            "email": email,
            "state": "uploading",
            "progress": 0,
            "video": {"file_id": file_id, "filename": filename},
            "litter": [{"bucket": VIDEOS, "file_id": file_id}],
            "work": {"upload": {"token": token, "until": self._until(time), "attempts": 1}},
            "created": time,
            "updated": time,
        }
        if key is not None:
            job["key"] = {"value": key, "until": time + KEY_LASTS}
            self._move({"owner": owner, "key.value": key, "key.until": {"$lte": time}}, {}, unset={"key": ""})
        try:
            with writing():
                self._of().insert_one(job)
        except DuplicateKeyError:
            return None
        return Run("upload", job, token, file_id)

    def take_over(self, job: Document, filename: str) -> Run | None:
        """The upload of a job whose own run is dead, under a new file. None: that run lives, or has ended."""
        token, time, file_id = str(uuid.uuid4()), self._now(), ObjectId()
        filter_ = {"_id": job["_id"], "state": "uploading", "work.upload.until": {"$lte": time}}
        change = {
            "work.upload.token": token,
            "work.upload.until": self._until(time),
            "video": {"file_id": file_id, "filename": filename},
        }
        taken = self._move(filter_, change, push={"litter": {"bucket": VIDEOS, "file_id": file_id}})
        return Run("upload", taken, token, file_id) if taken else None

    def uploaded(self, run: Run, length: int, sha256: str, options: Mapping[str, Any] | None = None) -> Document | None:
        """uploading -> queued; from here on the job is safe. None: the run had lost the job."""
        change: Document = {
            "options": dict(options or {}),
            "state": "queued",
            "video.length": length,
            "video.sha256": sha256,
            "litter": run.litter_without_its_file,
            "outbox.video.state": "pending",
        }
        return self._end(run, change, inc={"outbox.video.n": 1})

    def discard(self, run: Run) -> Document | None:
        """Ends a job whose upload did not come to its end, to be forgotten once its litter is gone; frees its key."""
        unset = leases("upload") | {"key": ""}
        return self._move(held(run), {"state": "cancelled", "discarded": True}, unset=unset)

    def forget(self, job_id: str) -> bool:
        """Removes the record of a discarded job; never one with litter."""
        with writing():
            return self._of().delete_one({"_id": job_id, "discarded": True, "litter": []}).deleted_count == 1

    # -- leases ------------------------------------------------------------------------------------------------

    def take(self, stage: str, job_id: str) -> Run | None:
        """Leases `stage` of the job to a new run. None: there is nothing to do. Raises LeaseHeldError."""
        token, time, file_id = str(uuid.uuid4()), self._now(), ObjectId()
        lease = f"work.{stage}"
        change: Document = {f"{lease}.token": token, f"{lease}.until": self._until(time)}
        push: Document = {}
        if stage == "convert":
            change["state"] = "converting"
            push = {"litter": {"bucket": MP3S, "file_id": file_id}}
        filter_ = {"_id": job_id, **ready(stage, time), "$or": dead(lease, time)}
        job = self._move(filter_, change, inc={f"{lease}.attempts": 1}, push=push)
        if job is not None:
            return Run(stage, job, token, file_id)
        if self._of().find_one({"_id": job_id, **ready(stage, time)}, {"_id": 1}):
            raise LeaseHeldError
        return None

    def extend(self, run: Run, progress: int = 0) -> bool:
        """Prolongs the run's lease and writes its progress (percent). False: the run has lost the job."""
        change: Document = {f"work.{run.stage}.until": self._until(self._now())}
        if run.stage == "convert":
            change["progress"] = progress
        return self._move(held(run), change) is not None

    def hand_back(self, run: Run, counted: bool) -> Document | None:
        """Gives the stage to whoever comes next; an attempt that is not `counted` is as if it had not been."""
        back: Document = {"state": "queued", "progress": 0} if run.stage == "convert" else {"mail.state": "pending"}
        inc = {} if counted else {f"work.{run.stage}.attempts": -1}
        return self._end(run, back, inc)

    # -- convert -----------------------------------------------------------------------------------------------

    def converted(self, run: Run, mp3: Document, result: Document, keep: timedelta) -> Document | None:
        """converting -> done; the MP3 is kept for `keep`. None: the run had lost the job."""
        done = {"state": "done", "progress": 100, "mp3": mp3, "result": result, "expires": self._now() + keep}
        litter = [*run.litter_without_its_file, {"bucket": VIDEOS, "file_id": run.job["video"]["file_id"]}]
        return self._announce(run, done | {"litter": litter})

    def failed(self, run: Run, code: str) -> Document | None:
        """converting -> failed, with a code of functions.common.failures. None: the run had lost the job."""
        failed = {"state": "failed", "error": {"code": code, "detail": FAILURES[code]}}
        return self._announce(run, failed, push={"litter": {"bucket": VIDEOS, "file_id": run.job["video"]["file_id"]}})

    def _announce(self, run: Run, change: Document, push: Document | None = None) -> Document | None:
        mail = {"mail.since": self._now(), "mail.tries": 0}
        return self._end(run, change | mail | ANNOUNCE, inc={"outbox.mp3.n": 1}, push=push)

    # -- notify ------------------------------------------------------------------------------------------------

    def sending(self, run: Run) -> bool:
        """The mail is about to be handed over: from here on it may have gone out."""
        return self._move(held(run), {"mail.state": "sending"}) is not None

    def mailed(self, run: Run) -> bool:
        """The mail server has taken the mail."""
        return self._end(run, {"mail.state": "sent"}) is not None

    def mail_failed(self, run: Run, reason: str) -> bool:
        """The mail will never be delivered."""
        return self._end(run, {"mail.state": "failed", "mail.reason": reason}) is not None

    def put_off(self, run: Run, reason: str) -> Document | None:
        """The mail waits, longer each time, and after MAIL_GIVES_UP no more; it is announced again when it is due."""
        mail, time = run.job["mail"], self._now()
        if time - mail["since"] >= MAIL_GIVES_UP * self._mail_unit:
            return self._end(run, {"mail.state": "failed", "mail.reason": reason})
        wait = MAIL_WAITS[min(mail["tries"], len(MAIL_WAITS) - 1)]
        change = {"mail.not_before": time + wait * self._mail_unit, "mail.reason": reason} | ANNOUNCE
        inc = {"mail.tries": 1, "work.notify.attempts": -1, "outbox.mp3.n": 1}
        return self._end(run, change, inc)

    # -- outbox ------------------------------------------------------------------------------------------------

    def mark_sent(self, job: Document, queue: str) -> bool:
        """The event that `job` announces on `queue` was published. False: a newer one is pending."""
        outbox = f"outbox.{queue}"
        filter_ = {"_id": job["_id"], f"{outbox}.state": "pending", f"{outbox}.n": job["outbox"][queue]["n"]}
        return self._move(filter_, {f"{outbox}.state": "sent"}) is not None

    # -- litter ------------------------------------------------------------------------------------------------

    def cleaned(self, job_id: str, file_id: ObjectId) -> None:
        """A file of the job's litter is gone, chunks and all."""
        with writing():
            self._of().update_one({"_id": job_id}, {"$pull": {"litter": {"file_id": file_id}}})

    # -- the owner ---------------------------------------------------------------------------------------------

    def cancel(self, job: Document) -> Document | None:
        """An unfinished job -> cancelled; its runs find out with their next write. None: it was not unfinished."""
        filter_ = {"_id": job["_id"], "state": {"$in": list(UNFINISHED)}, "video.file_id": job["video"]["file_id"]}
        litter = {"litter": {"bucket": VIDEOS, "file_id": job["video"]["file_id"]}}
        return self._move(filter_, {"state": "cancelled"}, unset=leases("upload", "convert"), add=litter)

    def expire(self, job: Document) -> Document | None:
        """done -> expired; a mail that still waits is not sent any more. None: it was not done."""
        removed = {"mail.state": "failed", "mail.reason": "removed"}
        # Twice, as a mail may be put off between the two writes.
        for mail, change in (("pending", removed), ({"$ne": "pending"}, {})) * 2:
            filter_ = {"_id": job["_id"], "state": "done", "mail.state": mail}
            litter = {"litter": {"bucket": MP3S, "file_id": job["mp3"]["file_id"]}}
            if ended := self._move(filter_, {"state": "expired", **change}, unset=leases("notify"), add=litter):
                return ended
        return None

    # -- the one write -----------------------------------------------------------------------------------------

    def _end(
        self, run: Run, change: Document, inc: dict[str, int] | None = None, push: Document | None = None
    ) -> Document | None:
        return self._move(held(run), change, inc, unset=leases(run.stage), push=push)

    def _move(
        self,
        filter_: Document,
        change: Document,
        inc: dict[str, int] | None = None,
        *,
        unset: Document | None = None,
        push: Document | None = None,
        add: Document | None = None,
    ) -> Document | None:
        parts = {"$inc": inc, "$unset": unset, "$push": push, "$addToSet": add}
        update: Document = {"$set": change | {"updated": self._now()}}
        update |= {operator: part for operator, part in parts.items() if part}
        with writing():
            return self._of().find_one_and_update(filter_, update, return_document=ReturnDocument.AFTER)

    def _until(self, time: datetime) -> datetime:
        return time + timedelta(seconds=self.lease_seconds)
