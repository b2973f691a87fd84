"""What the job record promises of files that are to be removed; see tests/contracts.py."""

from datetime import timedelta
from typing import Any

from bson import ObjectId

from functions.common.jobs import Jobs
from tests.contracts import Clock, Contract, begun, known


class LitterContract(Contract):
    """Which files of a job are to be removed."""

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
