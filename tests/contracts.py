"""What the job record promises, expected of the in-memory fake and of the real database alike.

tests/unit and tests/integration each subclass this with a `mongo` fixture of their own. Its other parts:
tests/mailcontract.py, tests/littercontract.py; GridFS: tests/filecontract.py.
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


class Contract:
    """What the contracts share: a job in each of its first states, and a clock."""

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


class RunsContract(Contract):
    """The transitions of a job and the leases of its runs."""

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

    @staticmethod
    def attempts(jobs: Jobs, job_id: str) -> int:
        job = jobs.get(job_id, OWNER)
        assert job is not None
        return int(job["work"]["convert"]["attempts"])
