"""What must hold of the database after every single operation, and from each one to the next."""

from datetime import timedelta
from typing import Any

from functions.common.files import CHUNK_BYTES, MP3S, VIDEOS
from functions.common.jobrecord import TERMINAL, Run
from tests.jobactor import Actor
from tests.jobworld import World

MOVES = {
    "uploading": {"queued", "cancelled"},
    "queued": {"converting", "failed", "cancelled"},
    "converting": {"queued", "done", "failed", "cancelled"},
    "done": {"expired"},
}
TOKENS = {"uploading": {"upload"}, "queued": set(), "converting": {"convert"}, "done": {"notify"}, "failed": {"notify"}}
STAGES = ("upload", "convert", "notify")


class Laws:
    """Looks at the world again and again; `look` raises AssertionError when a law is broken."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.forgotten: set[str] = set()
        self._before: dict[str, dict[str, Any]] = {}
        self._stored: dict[str, dict[Any, Any]] = {VIDEOS: {}, MP3S: {}}
        self._mails: dict[str, int] = {}

    def look(self, actor: Actor | None = None) -> dict[str, dict[str, Any]]:
        """Checks everything; the jobs by id. `actor` is who did the last operation."""
        database = self._world.mongo.database
        jobs = {job["_id"]: job for job in database["jobs"].find()}
        stored = {name: self.stored(name) for name in (VIDEOS, MP3S)}
        for job in jobs.values():
            _is_sane(job)
            _has_its_files(job, stored)
        for job_id, before in self._before.items():
            if job_id in jobs:
                self._may_move(before, jobs[job_id])
                self._leaves_live_runs_alone(before, jobs[job_id], stored, actor.run if actor else None)
                _by_its_token(before, jobs[job_id], actor.run if actor else None)
            else:
                self._may_go(before)
                self.forgotten.add(job_id)
        self._nothing_is_orphaned(jobs, stored)
        self._mails_are_once()
        self._before, self._stored = jobs, stored
        return jobs

    def stored(self, name: str) -> dict[Any, tuple[int | None, list[int]]]:
        """What the bucket holds, by file id: the file's length, if it is complete, and the numbers of its chunks."""
        database = self._world.mongo.database
        found: dict[Any, tuple[int | None, list[int]]] = {}
        for file in database[f"{name}.files"].find():
            found[file["_id"]] = int(file["length"]), []
        for chunk in database[f"{name}.chunks"].find({}, {"files_id": 1, "n": 1}):
            found.setdefault(chunk["files_id"], (None, []))[1].append(chunk["n"])
        return found

    def _may_move(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        time, job_id, moved = self._world.clock(), old["_id"], new["state"]
        assert moved == old["state"] or moved in MOVES.get(old["state"], ()), f"{old['state']} became {moved}"
        asked = job_id in self._world.owner_asked
        if moved == "failed" and old["state"] == "queued":
            assert new["error"]["code"] == "timeout"
        if moved == "failed" and new["error"]["code"] == "timeout":
            assert time - new["created"] > timedelta(days=7)
        if moved == "expired" != old["state"]:
            assert asked or old["expires"] <= time, "nobody asked for its end"
        if moved == "cancelled" != old["state"]:
            assert asked or (old["state"] == "uploading" and new.get("discarded")), "nobody cancelled it"
        for queue, outbox in old.get("outbox", {}).items():
            later = new["outbox"][queue]
            assert later["n"] >= outbox["n"], "n went back"
            assert (later["state"], outbox["state"]) != ("pending", "sent") or later["n"] > outbox["n"]
        for stage, lease in old["work"].items():
            token, now = lease.get("token"), new["work"][stage].get("token")
            if token and now and token != now:
                assert lease["until"] <= time, f"two live runs of {stage}"

    def _leaves_live_runs_alone(
        self, old: dict[str, Any], new: dict[str, Any], stored: dict[str, dict[Any, Any]], run: Run | None
    ) -> None:
        if old["_id"] in self._world.owner_asked or new["state"] == "expired":
            return
        for stage, lease in old["work"].items():
            if "token" not in lease or lease["until"] <= self._world.clock() or (run and run.token == lease["token"]):
                continue
            assert (old["state"], lease) == (new["state"], new["work"][stage]), f"a live run of {stage} lost its job"
            for entry in old["litter"]:
                bucket, file_id = entry["bucket"], entry["file_id"]
                writer = self._world.writers[file_id].run
                if writer is not None and writer.token == lease["token"]:
                    before, now = (files[bucket].get(file_id) for files in (self._stored, stored))
                    assert before == now, f"a file was removed under a live run of {stage}"

    def _may_go(self, old: dict[str, Any]) -> None:
        assert old["litter"] == [], "a record with litter was removed"
        if not old.get("discarded"):
            assert old["state"] in ("failed", "cancelled", "expired"), f"a job was lost, {old['state']}"
            assert self._world.clock() - old["updated"] > timedelta(days=30)

    def _nothing_is_orphaned(self, jobs: dict[str, Any], stored: dict[str, dict[Any, Any]]) -> None:
        named = {file_id for job in jobs.values() for file_id in _named(job)}
        for files in stored.values():
            for file_id in files.keys() - named:
                # Only a run that lost its job may have left this, and has not noticed yet, or could not remove it.
                actor = self._world.writers[file_id]
                assert not actor.finished or actor.crashed or actor.faulted, "a run left an orphan"
                assert actor.run is not None
                lease = jobs.get(actor.run.job_id, {"work": {}})["work"].get(actor.run.stage, {})
                assert lease.get("token") != actor.run.token, "a file is not named by its job"

    def _mails_are_once(self) -> None:
        for job_id, mails in self._world.mails.items():
            if len(mails) == self._mails.get(job_id, 0):
                continue
            self._mails[job_id] = len(mails)
            *earlier, last = mails
            for mail in earlier:
                assert mail.run is not None
                assert last.sent_at is not None
                late = mail.run.job["work"]["notify"]["until"] <= self._world.clock()
                assert mail.crashed or mail.faulted or late, "a mail went out twice"
                assert mail.recorded_at is None or last.sent_at < mail.recorded_at, "a recorded mail went out again"


def _named(job: dict[str, Any]) -> list[Any]:
    return [job["video"]["file_id"], job.get("mp3", job["video"])["file_id"], *(e["file_id"] for e in job["litter"])]


def _by_its_token(old: dict[str, Any], new: dict[str, Any], run: Run | None) -> None:
    if run is None or run.job_id != old["_id"]:
        return
    before, after = (job["work"].get(run.stage, {}) for job in (old, new))
    if run.token not in (before.get("token"), after.get("token")):
        assert (old["state"], before) == (new["state"], after), "a run wrote to a job that it had lost"


def _is_sane(job: dict[str, Any]) -> None:
    state, held = job["state"], {stage for stage in STAGES if "token" in job["work"].get(stage, {})}
    assert held <= TOKENS.get(state, set()), f"{state} with leases {held}"
    assert held or state not in ("uploading", "converting"), f"{state} without a lease"
    assert all(lease.get("attempts", 0) >= 0 for lease in job["work"].values()), "attempts below 0"
    assert 0 <= job["progress"] <= 100
    assert (job["progress"] == 100) == (state in ("done", "expired"))
    assert job["progress"] == 0 or state not in ("uploading", "queued"), f"{state} with progress"
    mail = job.get("mail", {}).get("state")
    assert (mail is not None) == (state in ("done", "failed", "expired"))
    assert mail != "pending" or state != "expired", "a mail about a removed MP3 waits"
    assert (mail == "sending") <= ("notify" in held or state == "expired"), "sending without a run"
    if job.get("discarded"):
        assert "key" not in job, "a job that never was holds an Idempotency-Key"


def _has_its_files(job: dict[str, Any], stored: dict[str, dict[Any, Any]]) -> None:
    litter = {entry["file_id"] for entry in job["litter"]}
    video = job["video"]
    if job["state"] in ("queued", "converting"):
        assert video["file_id"] not in litter
        _whole(stored[VIDEOS].get(video["file_id"]), video["length"])
    if job["state"] == "done":
        assert job["mp3"]["file_id"] not in litter
        _whole(stored[MP3S].get(job["mp3"]["file_id"]), job["mp3"]["length"])
    if job["state"] in TERMINAL and video["file_id"] in stored[VIDEOS]:
        assert video["file_id"] in litter or job["state"] == "cancelled", "a video outlives its job"


def _whole(file: tuple[int | None, list[int]] | None, length: int) -> None:
    assert file is not None, "a wanted file is gone"
    assert file[0] == length, "a wanted file is not complete"
    assert sorted(file[1]) == list(range(-(-length // CHUNK_BYTES))), "a wanted file has a hole"
