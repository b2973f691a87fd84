"""What works on the job records, and what it works with: the programs in the order of their handlers."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bson import ObjectId

from functions.common import litter, outbox
from functions.common.files import CHUNK_BYTES, MP3S, VIDEOS, Bucket, HoleError
from functions.common.jobrecord import LeaseHeldError, Run
from functions.common.mongo import AWAY
from functions.common.parcel import PublishError
from functions.janitor import rounds
from functions.janitor.upkeep import Times, Upkeep
from tests.contracts import OWNER, Clock
from tests.jobactor import Actor, Wired

DATA = b"x" * (CHUNK_BYTES + 1)
COLLECTIONS = ("jobs", "videos.files", "videos.chunks", "mp3s.files", "mp3s.chunks")


class World:
    """The database, a clock, a broker and a mail server that never lose anything of themselves, and who is at work."""

    def __init__(self, mongo: Any) -> None:
        self.mongo, self.clock = mongo, Clock()
        self.down = False
        self.operations = 0
        self.actors: list[Actor] = []
        self.of_thread = threading.local()
        self.writers: dict[ObjectId, Actor] = {}
        self.acknowledged: set[str] = set()
        self.owner_asked: set[str] = set()
        self.published: list[tuple[str, str]] = []
        self.mails: dict[str, list[Actor]] = {}
        self.database = self
        self.jobs = Upkeep(lambda: self["jobs"], Times(), self.clock)  # type: ignore[arg-type,return-value]
        self.buckets = {name: Bucket(self, name) for name in (VIDEOS, MP3S)}  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Wired:
        return Wired(self, name)

    @property
    def actor(self) -> Actor:
        """Who runs just now."""
        actor: Actor = self.of_thread.actor
        return actor

    def start(self, kind: str, work: Callable[[Actor], None]) -> Actor:
        """A new actor, waiting before its first operation."""
        self.actors = [actor for actor in self.actors if not actor.finished]
        self.actors.append(Actor(self, kind, work))
        return self.actors[-1]

    def publish(self, queue: str, event: Any, within: float) -> None:
        self.actor.point(lambda: self.published.append((queue, event.job_id)), PublishError)

    # -- what the programs do, in the order of their handlers --------------------------------------------------

    def upload(self, key: str | None, whole: bool) -> Callable[[Actor], None]:
        def work(actor: Actor) -> None:
            known = self.jobs.of_key(OWNER, key) if key else None
            if known and known["state"] != "uploading":
                return
            run = self.jobs.take_over(known, "b.mp4") if known else self.jobs.begin(OWNER, "a@x.example", "a.mp4", key)
            if run is None:
                return
            self._own(actor, run)
            try:
                job = self._store(run, whole)
            except AWAY:
                job = None
            if job is None:
                job = self._undo(run)
            if job is not None:
                self.acknowledged.add(run.job_id)
                outbox.announce(self.jobs, self, job, "video")  # type: ignore[arg-type]

        return work

    def _store(self, run: Run, whole: bool) -> Any:
        writer = self.buckets[VIDEOS].writer(run.file_id)
        writer.write(DATA)
        writer.finish()
        if not whole or not self.jobs.extend(run):
            return None
        writer.close("a.mp4", {})
        return self.jobs.uploaded(run, len(DATA), "00")

    def _undo(self, run: Run) -> Any:
        ended = self.jobs.discard(run)
        if ended is None and (committed := self.jobs.committed(run)):
            return committed
        litter.remove(self.jobs, self.buckets[VIDEOS], run.job_id, run.file_id)
        if ended and litter.sweep(self.jobs, {VIDEOS: self.buckets[VIDEOS]}, ended):
            self.jobs.forget(run.job_id)
        return None

    def convert(self, job_id: str, ending: str = "done", keep_days: float = 7) -> Callable[[Actor], None]:
        def work(actor: Actor) -> None:
            run = self._take(actor, "convert", job_id)
            if run is None:
                return
            try:
                job = self._convert(run, ending, keep_days)
            except AWAY:
                job = self._give_up(run, counted=False)
            if job is None or job["state"] == "queued":
                self._sweep(run.job_id, [{"bucket": MP3S, "file_id": run.file_id}])
            else:
                outbox.announce(self.jobs, self, job, "mp3")  # type: ignore[arg-type]
                self._sweep(run.job_id, job["litter"])

        return work

    def _convert(self, run: Run, ending: str, keep_days: float) -> Any:
        if run.gave_up:
            return self.jobs.failed(run, "gave_up")
        video = run.job["video"]
        try:
            assert b"".join(self.buckets[VIDEOS].read(video["file_id"], video["length"], 0, video["length"])) == DATA
        except HoleError:
            assert self.jobs.failed(run, "corrupt") is None, "a video was removed under its run"
            return None
        writer = self.buckets[MP3S].writer(run.file_id)
        writer.write(DATA)
        if not self.jobs.extend(run, 50):
            return None
        writer.finish()
        if ending == "back":
            return self._give_up(run, counted=True)
        if ending == "corrupt":
            return self.jobs.failed(run, "corrupt")
        writer.close("a.mp3", {})
        mp3 = {"file_id": run.file_id, "filename": "a.mp3", "length": len(DATA), "sha256": "00"}
        return self.jobs.converted(run, mp3, {}, timedelta(days=keep_days))

    def _give_up(self, run: Run, counted: bool) -> Any:
        try:
            back = self.jobs.hand_back(run, counted)
        except AWAY:
            back = self.jobs.hand_back(run, counted)
        return back or self.jobs.committed(run)

    def _sweep(self, job_id: str, entries: list[dict[str, Any]]) -> None:
        litter.sweep(self.jobs, self.buckets, {"_id": job_id, "litter": entries})

    def notify(self, job_id: str, ending: str = "sent") -> Callable[[Actor], None]:
        def work(actor: Actor) -> None:
            run = self._take(actor, "notify", job_id)
            if run is None:
                return
            if run.gave_up:
                self.jobs.mail_failed(run, "gave_up")
            elif ending == "away":
                self.jobs.put_off(run, "answer 450")
            elif ending == "back":
                self.jobs.hand_back(run, counted=False)
            elif self.jobs.sending(run):
                self._send(actor, run, ending)

        return work

    def _send(self, actor: Actor, run: Run, ending: str) -> None:
        actor.sent_at = self.operations
        actor.point(lambda: self.mails.setdefault(run.job_id, []).append(actor))
        if ending == "refused":
            self.jobs.mail_failed(run, "answer 550")
        elif self.jobs.mailed(run):
            actor.recorded_at = self.operations

    def _take(self, actor: Actor, stage: str, job_id: str) -> Run | None:
        try:
            run = self.jobs.take(stage, job_id)
        except LeaseHeldError:
            return None
        if run:
            self._own(actor, run)
        return run

    def _own(self, actor: Actor, run: Run) -> None:
        actor.run = run
        self.writers[run.file_id] = actor

    def owner(self, job_id: str, act: str) -> Callable[[Actor], None]:
        def work(actor: Actor) -> None:
            job = self.jobs.get(job_id, OWNER)
            if job is None:
                return
            if act == "cancel":
                self.owner_asked.add(job_id)
                ended = self.jobs.cancel(job)
            elif job["state"] == "done":
                self.owner_asked.add(job_id)
                ended = self.jobs.expire(job)
                now = self.mongo.database["jobs"].find_one({"_id": job_id})
                assert ended or not now or now["state"] != "done", "an MP3 could not be removed"
            else:
                return
            if ended:
                self._sweep(job_id, ended["litter"])

        return work

    def janitor(self, actor: Actor) -> None:
        """One round."""
        rounds.tidy(self.jobs, self.buckets)
        rounds.publish_pending(self.jobs, self, 60)  # type: ignore[arg-type]
