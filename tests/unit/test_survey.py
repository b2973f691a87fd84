"""What the janitor counts for an operator, over the in-memory database; tests/integration has the real ones."""

from datetime import timedelta

from functions.janitor.survey import Survey
from functions.janitor.upkeep import Times
from tests.contracts import Clock, begun
from tests.fakes import FakeMongo


def surveyor(mongo: FakeMongo) -> tuple[Survey, Clock]:
    clock = Clock()
    return Survey(lambda: mongo.database["jobs"], Times(), clock), clock  # type: ignore[arg-type, return-value]


def queued(jobs: Survey) -> str:
    run = begun(jobs)
    jobs.uploaded(run, 1, "")
    return run.job_id


def test_nothing_counts_as_nothing(mongo: FakeMongo) -> None:
    jobs, _ = surveyor(mongo)

    assert set(jobs.jobs().values()) == {0}


def test_jobs_are_counted_by_what_becomes_of_them(mongo: FakeMongo) -> None:
    jobs, clock = surveyor(mongo)
    begun(jobs)
    queued(jobs)
    clock.forward(600)
    jobs.take("convert", queued(jobs))
    failing = jobs.take("convert", queued(jobs))
    assert failing
    jobs.failed(failing, "no_audio")

    assert jobs.jobs() == {
        "uploading": 1,
        "queued": 1,
        "converting": 1,
        "stuck": 0,
        "failed_today": 1,
        "mails_waiting": 1,
        "mails_failed_today": 0,
        "oldest_seconds": 600,
    }


def test_stuck_is_what_was_announced_again_and_has_no_end(mongo: FakeMongo) -> None:
    jobs, clock = surveyor(mongo)
    job_id = queued(jobs)
    clock.forward(Times.redrive + 1)
    assert jobs.redrive() == 1
    assert jobs.jobs()["stuck"] == 1

    run = jobs.take("convert", job_id)
    assert run
    jobs.converted(run, {"file_id": run.file_id, "length": 1}, {}, timedelta(days=7))

    assert jobs.jobs()["stuck"] == 0


def test_mails_and_failures_are_told_for_a_day(mongo: FakeMongo) -> None:
    jobs, clock = surveyor(mongo)
    failing = jobs.take("convert", queued(jobs))
    assert failing
    jobs.failed(failing, "no_audio")
    mail = jobs.take("notify", failing.job_id)
    assert mail
    assert jobs.sending(mail)
    assert jobs.mail_failed(mail, "550")
    assert (jobs.jobs()["failed_today"], jobs.jobs()["mails_failed_today"], jobs.jobs()["mails_waiting"]) == (1, 1, 0)

    clock.forward(86_401)

    assert (jobs.jobs()["failed_today"], jobs.jobs()["mails_failed_today"]) == (0, 0)
