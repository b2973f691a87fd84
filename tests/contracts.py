"""What the job record promises, expected of the in-memory fake and of the real database alike.

tests/unit and tests/integration each subclass this with a `mongo` fixture of their own. GridFS: tests/filecontract.py.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from functions.common.jobrecord import ATTEMPTS, LeaseHeldError, Run
from functions.common.jobs import Jobs

OWNER = "owner-1"


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def begun(jobs: Jobs, owner: str = OWNER, filename: str = "a.mp4") -> Run:
    """An upload that has just begun."""
    run = jobs.begin(owner, "a@demo.example", filename)
    assert run is not None
    return run


def known(jobs: Jobs, job_id: str, owner: str = OWNER) -> dict[str, Any]:
    """The job, which is there."""
    job = jobs.get(job_id, owner)
    assert job is not None
    return job


class JobsContract:
    """The transitions, leases and outbox of a job."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def jobs(self, mongo: Any, clock: Clock) -> Jobs:
        return Jobs(lambda: mongo.database["jobs"], 60, clock)

    @pytest.fixture
    def queued(self, jobs: Jobs) -> str:
        return self.new(jobs)

    @pytest.fixture
    def done(self, jobs: Jobs, queued: str) -> str:
        run = self.take(jobs, "convert", queued)
        assert jobs.converted(run, {"file_id": ObjectId(), "length": 1}, {"duration": 1.0}, timedelta(days=7))
        return queued

    @staticmethod
    def new(jobs: Jobs, owner: str = OWNER) -> str:
        run = begun(jobs, owner)
        assert jobs.uploaded(run, 10, "00")
        return run.job_id

    @staticmethod
    def take(jobs: Jobs, stage: str, job_id: str) -> Run:
        run = jobs.take(stage, job_id)
        assert run is not None
        return run

    def test_an_upload_becomes_a_queued_job_with_its_event_pending(self, jobs: Jobs) -> None:
        run = begun(jobs)

        job = jobs.uploaded(run, 10, "ab")

        assert job is not None
        assert (job["state"], job["video"]["length"], job["video"]["sha256"]) == ("queued", 10, "ab")
        assert job["outbox"]["video"] == {"state": "pending", "n": 1}
        assert "token" not in job["work"]["upload"]

    def test_a_discarded_upload_leaves_no_record(self, jobs: Jobs) -> None:
        run = begun(jobs)

        assert jobs.discard(run)
        assert jobs.get(run.job_id, OWNER) is None
        assert jobs.page(OWNER, 10) == []
        assert jobs.uploaded(run, 1, "") is None
        assert not jobs.forget(run.job_id)  # it still names a file
        jobs.cleaned(run.job_id, run.file_id)
        assert jobs.forget(run.job_id)

    def test_a_committed_upload_cannot_be_discarded(self, jobs: Jobs) -> None:
        run = begun(jobs)
        jobs.uploaded(run, 1, "")

        assert not jobs.discard(run)
        assert jobs.get(run.job_id, OWNER) is not None

    def test_a_job_that_is_being_uploaded_cannot_be_converted(self, jobs: Jobs) -> None:
        run = begun(jobs)

        assert jobs.take("convert", run.job_id) is None

    def test_an_unknown_job_is_nothing_to_do(self, jobs: Jobs) -> None:
        assert jobs.take("convert", "no-such-job") is None
        assert jobs.take("notify", "no-such-job") is None

    def test_one_run_takes_a_job_and_the_next_finds_it_held(self, jobs: Jobs, queued: str) -> None:
        run = self.take(jobs, "convert", queued)

        assert run.job["state"] == "converting"
        with pytest.raises(LeaseHeldError):
            jobs.take("convert", queued)

    def test_a_dead_lease_is_taken_over_and_the_old_run_can_write_no_more(
        self, jobs: Jobs, clock: Clock, queued: str
    ) -> None:
        old = self.take(jobs, "convert", queued)
        clock.forward(61)
        new = self.take(jobs, "convert", queued)

        assert not jobs.extend(old, 5)
        assert jobs.converted(old, {}, {}, timedelta(0)) is None
        assert jobs.failed(old, "corrupt") is None
        assert not jobs.hand_back(old, counted=False)
        assert jobs.extend(new, 6)

    def test_an_extended_lease_lives_on_and_shows_progress(self, jobs: Jobs, clock: Clock, queued: str) -> None:
        run = self.take(jobs, "convert", queued)
        clock.forward(50)
        assert jobs.extend(run, 40)
        clock.forward(50)

        with pytest.raises(LeaseHeldError):
            jobs.take("convert", queued)
        job = jobs.get(queued, OWNER)
        assert job is not None
        assert job["progress"] == 40

    def test_a_conversion_ends_done_with_its_mail_and_event_pending(self, jobs: Jobs, clock: Clock, done: str) -> None:
        job = jobs.get(done, OWNER)

        assert job is not None
        assert (job["state"], job["progress"], job["mail"]["state"]) == ("done", 100, "pending")
        assert job["outbox"]["mp3"] == {"state": "pending", "n": 1}
        assert job["expires"] == clock() + timedelta(days=7)
        assert jobs.take("convert", done) is None

    def test_a_failure_keeps_its_code_and_has_a_mail(self, jobs: Jobs, queued: str) -> None:
        job = jobs.failed(self.take(jobs, "convert", queued), "no_audio")

        assert job is not None
        assert (job["state"], job["error"]["code"], job["mail"]["state"]) == ("failed", "no_audio", "pending")
        assert jobs.take("convert", queued) is None

    def test_handing_back_gives_the_attempt_back_unless_it_is_counted(self, jobs: Jobs, queued: str) -> None:
        assert jobs.hand_back(self.take(jobs, "convert", queued), counted=False)
        assert self.attempts(jobs, queued) == 0

        assert jobs.hand_back(self.take(jobs, "convert", queued), counted=True)
        assert self.attempts(jobs, queued) == 1

    def test_the_take_after_the_last_attempt_may_only_give_up(self, jobs: Jobs, queued: str) -> None:
        for _ in range(ATTEMPTS):
            run = self.take(jobs, "convert", queued)
            assert not run.gave_up
            jobs.hand_back(run, counted=True)

        assert self.take(jobs, "convert", queued).gave_up

    def test_a_mail_is_sent_by_one_run_and_only_once(self, jobs: Jobs, done: str) -> None:
        run = self.take(jobs, "notify", done)
        with pytest.raises(LeaseHeldError):
            jobs.take("notify", done)

        assert jobs.sending(run)
        assert jobs.mailed(run)
        assert jobs.take("notify", done) is None

    def test_a_mail_whose_run_died_while_sending_is_taken_again(self, jobs: Jobs, clock: Clock, done: str) -> None:
        run = self.take(jobs, "notify", done)
        jobs.sending(run)
        clock.forward(61)

        assert jobs.take("notify", done) is not None
        assert not jobs.mailed(run)

    def test_a_refused_mail_is_final(self, jobs: Jobs, done: str) -> None:
        assert jobs.mail_failed(self.take(jobs, "notify", done), "answer 550")

        job = jobs.get(done, OWNER)
        assert job is not None
        assert (job["mail"]["state"], job["mail"]["reason"]) == ("failed", "answer 550")
        assert jobs.take("notify", done) is None

    def test_a_job_that_is_not_done_has_no_mail_to_send(self, jobs: Jobs, queued: str) -> None:
        assert jobs.take("notify", queued) is None

    def test_pending_events_are_found_once_they_are_old_enough(self, jobs: Jobs, clock: Clock, queued: str) -> None:
        assert list(jobs.pending("video", 60)) == []
        clock.forward(61)
        (job,) = jobs.pending("video", 60)

        assert job["_id"] == queued
        assert jobs.mark_sent(job, "video")
        assert list(jobs.pending("video", 60)) == []

    def test_marking_an_older_announcement_sent_changes_nothing(self, jobs: Jobs, clock: Clock, done: str) -> None:
        job = jobs.get(done, OWNER)
        assert job is not None
        job["outbox"]["mp3"]["n"] = 0

        assert not jobs.mark_sent(job, "mp3")
        clock.forward(61)
        assert [job["_id"] for job in jobs.pending("mp3", 60)] == [done]

    @pytest.mark.parametrize("stage", ["uploading", "queued", "converting"])
    def test_an_unfinished_job_can_be_cancelled_and_its_runs_find_out(self, jobs: Jobs, stage: str) -> None:
        run = begun(jobs)
        if stage != "uploading":
            jobs.uploaded(run, 1, "")
        if stage == "converting":
            run = self.take(jobs, "convert", run.job_id)

        job = jobs.cancel(known(jobs, run.job_id))

        assert job is not None
        assert job["state"] == "cancelled"
        assert not jobs.extend(run, 1)
        assert jobs.take("convert", run.job_id) is None
        assert jobs.cancel(known(jobs, run.job_id)) is None

    def test_expiring_a_done_job_stops_a_mail_that_still_waits(self, jobs: Jobs, done: str) -> None:
        job = jobs.expire(known(jobs, done))

        assert job is not None
        assert (job["state"], job["mail"]["state"], job["mail"]["reason"]) == ("expired", "failed", "removed")
        assert jobs.take("notify", done) is None

    def test_expiring_keeps_the_record_of_a_mail_that_was_sent(self, jobs: Jobs, done: str) -> None:
        run = self.take(jobs, "notify", done)
        jobs.mailed(run)

        job = jobs.expire(known(jobs, done))

        assert job is not None
        assert job["mail"]["state"] == "sent"

    def test_nobody_sees_what_is_not_theirs(self, jobs: Jobs, done: str) -> None:
        job = jobs.get(done, OWNER)
        assert job is not None

        assert jobs.get(done, "other") is None
        assert jobs.of_mp3(job["mp3"]["file_id"], "other") is None
        assert jobs.page("other", 10) == []

    def test_pages_hold_every_job_once_newest_first(self, jobs: Jobs, clock: Clock) -> None:
        made = []
        for number in range(7):
            made.append(self.new(jobs))
            clock.forward(number % 2)  # some share a time

        seen: list[str] = []
        after = None
        while page := jobs.page(OWNER, 3, after):
            seen += [job["_id"] for job in page]
            after = (page[-1]["created"], page[-1]["_id"])

        assert sorted(seen) == sorted(made)
        assert len(seen) == 7
        assert seen[0] == max(made[-1:])

    @staticmethod
    def litter(job: dict[str, Any]) -> set[ObjectId]:
        return {entry["file_id"] for entry in job["litter"]}

    def test_a_file_is_litter_before_it_is_written_and_no_more_once_it_is_the_jobs(self, jobs: Jobs) -> None:
        run = begun(jobs)
        assert self.litter(run.job) == {run.file_id}
        queued = jobs.uploaded(run, 1, "")
        assert queued is not None
        assert queued["litter"] == []

        converting = self.take(jobs, "convert", run.job_id)
        assert self.litter(converting.job) == {converting.file_id}
        done = jobs.converted(converting, {"file_id": converting.file_id}, {}, timedelta(days=7))

        assert done is not None
        assert self.litter(done) == {run.file_id}

    def test_all_that_a_failed_job_ever_wrote_is_litter(self, jobs: Jobs, clock: Clock, queued: str) -> None:
        first = self.take(jobs, "convert", queued)
        clock.forward(61)
        second = self.take(jobs, "convert", queued)

        job = jobs.failed(second, "corrupt")

        assert job is not None
        assert self.litter(job) == {first.file_id, second.file_id, job["video"]["file_id"]}
        jobs.cleaned(queued, first.file_id)
        assert self.litter(known(jobs, queued)) == {second.file_id, job["video"]["file_id"]}

    def test_cancelling_and_expiring_make_litter_of_what_they_end(self, jobs: Jobs, queued: str) -> None:
        run = self.take(jobs, "convert", queued)
        cancelled = jobs.cancel(known(jobs, queued))
        assert cancelled is not None
        assert self.litter(cancelled) == {run.file_id, run.job["video"]["file_id"]}

        other = self.take(jobs, "convert", self.new(jobs))
        done = jobs.converted(other, {"file_id": other.file_id}, {}, timedelta(days=7))
        assert done is not None
        expired = jobs.expire(done)
        assert expired is not None
        assert other.file_id in self.litter(expired)

    def test_a_commit_without_an_answer_is_found_and_none_is_made_up(self, jobs: Jobs) -> None:
        run = begun(jobs)
        assert jobs.committed(run) is None
        jobs.uploaded(run, 1, "")
        assert jobs.committed(run) is not None

        converting = self.take(jobs, "convert", run.job_id)
        assert jobs.committed(converting) is None
        jobs.converted(converting, {"file_id": converting.file_id, "length": 1}, {}, timedelta(days=7))
        assert jobs.committed(converting) is not None

    def test_a_key_belongs_to_one_job_of_its_account_for_a_day(self, jobs: Jobs, clock: Clock) -> None:
        run = jobs.begin(OWNER, "a@demo.example", "a.mp4", "key-1")
        assert run is not None
        assert jobs.begin(OWNER, "a@demo.example", "a.mp4", "key-1") is None
        assert jobs.begin("other", "b@demo.example", "a.mp4", "key-1") is not None
        found = jobs.of_key(OWNER, "key-1")
        assert found is not None
        assert found["_id"] == run.job_id

        clock.forward(86_401)

        assert jobs.of_key(OWNER, "key-1") is None
        assert jobs.begin(OWNER, "a@demo.example", "a.mp4", "key-1") is not None

    def test_a_dead_upload_is_taken_over_under_its_job_and_a_live_one_is_not(self, jobs: Jobs, clock: Clock) -> None:
        old = begun(jobs)
        assert jobs.take_over(old.job, "b.mp4") is None
        clock.forward(61)

        new = jobs.take_over(old.job, "b.mp4")

        assert new is not None
        assert new.job_id == old.job_id
        assert jobs.uploaded(old, 1, "") is None
        job = jobs.uploaded(new, 2, "ab")
        assert job is not None
        assert job["video"] == {"file_id": new.file_id, "filename": "b.mp4", "length": 2, "sha256": "ab"}
        assert self.litter(job) == {old.file_id}

    def test_a_mail_is_put_off_for_longer_each_time_and_not_for_ever(self, jobs: Jobs, clock: Clock, done: str) -> None:
        waits = []
        while (job := jobs.put_off(self.take(jobs, "notify", done), "answer 450")) and job["mail"][
            "state"
        ] == "pending":
            assert jobs.take("notify", done) is None
            waits.append((job["mail"]["not_before"] - clock()).total_seconds() / 60)
            assert list(jobs.pending("mp3", 0)) == []
            clock.time = job["mail"]["not_before"]
            clock.forward(0.001)
            assert [job["_id"] for job in jobs.pending("mp3", 0)] == [done]

        assert waits[:6] == [1, 5, 15, 60, 240, 240]
        assert 48 * 60 <= sum(waits) <= 53 * 60
        mail = known(jobs, done)["mail"]
        assert (mail["state"], mail["reason"]) == ("failed", "answer 450")

    @staticmethod
    def attempts(jobs: Jobs, job_id: str) -> int:
        job = jobs.get(job_id, OWNER)
        assert job is not None
        return int(job["work"]["convert"]["attempts"])
