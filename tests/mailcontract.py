"""What the job record promises of mails and of announcements; see tests/contracts.py."""

import pytest

from functions.common.jobrecord import LeaseHeldError
from functions.common.jobs import Jobs
from tests.contracts import OWNER, Clock, Contract, known


class MailContract(Contract):
    """The mail of a job, and the events that announce it."""

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
