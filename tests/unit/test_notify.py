from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from cloudevents.http import CloudEvent
from werkzeug.exceptions import HTTPException

from functions.common.draining import Draining
from functions.common.jobrecord import ATTEMPTS
from functions.common.jobs import Jobs
from functions.notify import handler
from functions.notify.mail import MailAwayError, Mailer, MailRefusedError
from tests.contracts import Clock, begun, known
from tests.fakes import FakeMailer, FakeMongo

INJECTION = "=?utf-8?q?x=0D=0ABcc:_thief@demo.example?=\r\nBcc: thief@demo.example"


class World:
    """A notify function over fakes, and jobs to tell of."""

    def __init__(self, mongo: Any) -> None:
        self.mongo, self.clock, self.mailer = mongo, Clock(), FakeMailer()
        self.jobs = Jobs(lambda: mongo.database["jobs"], 60, self.clock)
        self.draining = Draining()
        sender, url = "mp3@demo.example", "https://mp3.demo.example/"
        self.services = handler.Services(self.jobs, self.mailer, sender, url, self.draining)  # type: ignore[arg-type]

    def job(self, name: str = "clip.mp4", code: str | None = None) -> str:
        run = begun(self.jobs, filename=name)
        self.jobs.uploaded(run, 5, "00")
        converting = self.jobs.take("convert", run.job_id)
        assert converting is not None
        if code:
            self.jobs.failed(converting, code)
        else:
            mp3 = {"file_id": ObjectId(), "filename": "clip.mp3", "length": 2_345_678, "sha256": "00"}
            self.jobs.converted(converting, mp3, {}, timedelta(days=7))
        return run.job_id

    def notify(self, job_id: Any) -> int:
        """Delivers the event; the status that the source would see."""
        event = CloudEvent({"type": "mp3.ready.v1", "source": "/jobs"}, {"job_id": job_id})
        try:
            handler.handle(event, self.services)
        except HTTPException as error:
            return error.code or 500
        return 200

    def mail_state(self, job_id: str) -> str:
        job = self.jobs.get(job_id, "owner-1")
        assert job is not None
        return str(job["mail"]["state"])


@pytest.fixture
def world(mongo: FakeMongo) -> World:
    return World(mongo)


def test_the_owner_is_told_the_id_how_to_fetch_it_and_until_when(world: World) -> None:
    job_id = world.job()

    assert world.notify(job_id) == 200

    (mail,) = world.mailer.sent
    job = world.jobs.get(job_id, "owner-1")
    assert job is not None
    text = mail.get_content()
    assert (mail["To"], mail["Subject"]) == ("a@demo.example", "Your MP3 is ready")
    assert str(job["mp3"]["file_id"]) in text
    assert f"https://mp3.demo.example/v1/mp3s/{job['mp3']['file_id']}" in text
    assert "2.3 MB" in text
    assert "2026-01-08" in text
    assert mail["Message-ID"] == f"<{job_id}@demo.example>"
    assert world.mail_state(job_id) == "sent"


def test_a_failure_is_told_in_words_with_its_code(world: World) -> None:
    assert world.notify(world.job(code="no_audio")) == 200

    (mail,) = world.mailer.sent
    assert mail["Subject"] == "Your video could not be converted"
    assert "The file has no sound" in mail.get_content()
    assert "no_audio" in mail.get_content()


def test_however_often_the_event_comes_one_mail_goes_out(world: World) -> None:
    job_id = world.job()

    assert [world.notify(job_id) for _ in range(5)] == [200] * 5
    assert len(world.mailer.sent) == 1


def test_while_another_run_has_the_mail_the_answer_is_409(world: World) -> None:
    job_id = world.job()
    world.jobs.take("notify", job_id)

    assert world.notify(job_id) == 409
    assert world.mailer.sent == []


def test_a_mail_server_that_is_away_makes_the_mail_wait_and_lets_notify_sleep(world: World) -> None:
    job_id = world.job()
    world.mailer.error = MailAwayError("refused")
    for _ in range(ATTEMPTS + 3):
        assert world.notify(job_id) == 200
        assert world.notify(job_id) == 200  # before its time
        assert world.mail_state(job_id) == "pending"
        world.clock.time = known(world.jobs, job_id)["mail"]["not_before"]

    world.mailer.error = None
    assert world.notify(job_id) == 200
    assert len(world.mailer.sent) == 1


def test_a_refused_recipient_is_final(world: World) -> None:
    job_id = world.job()
    world.mailer.error = MailRefusedError("answer 550")

    assert [world.notify(job_id), world.notify(job_id)] == [200, 200]
    assert world.mail_state(job_id) == "failed"


def test_mongodb_away_is_503(world: World) -> None:
    job_id = world.job()
    world.mongo.database.down = True

    assert world.notify(job_id) == 503


def test_a_mail_that_was_taken_away_meanwhile_is_not_sent(world: World) -> None:
    job_id = world.job()
    send = world.mailer.send

    def expire_first(message: Any, before_data: Any) -> None:
        world.jobs.expire(known(world.jobs, job_id))
        send(message, before_data)

    world.mailer.send = expire_first  # type: ignore[method-assign]

    assert world.notify(job_id) == 200
    assert world.mailer.sent == []


@pytest.mark.parametrize("job_id", [None, 7, "", "nonsense", {"$gt": ""}, "../x"])
def test_an_event_without_a_readable_job_id_is_422(world: World, job_id: Any) -> None:
    assert world.notify(job_id) == 422


def test_an_event_about_an_unknown_or_unfinished_job_sends_nothing(world: World) -> None:
    run = begun(world.jobs)

    assert world.notify("00000000-0000-4000-8000-000000000000") == 200
    assert world.notify(run.job_id) == 200
    assert world.mailer.sent == []


def test_a_file_name_reaches_no_header(world: World) -> None:
    world.notify(world.job(name="clip.mp4"))
    world.notify(world.job(name=INJECTION))

    plain, evil = world.mailer.sent
    assert [name for name, _ in plain.items()] == [name for name, _ in evil.items()]
    assert (evil["Subject"], evil["To"]) == (plain["Subject"], plain["To"])
    assert b"\nBcc:" not in evil.as_bytes().partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("url", ["", "http://mail", "smtp://", "mail.demo.example:25"])
def test_an_unusable_mail_server_address_stops_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="SMTP_URL"):
        Mailer(url)


def told_to_end_meanwhile(world: World, happens: Callable[[], None]) -> None:
    """Lets `happens` happen while the mail server is being spoken to."""
    send = world.mailer.send

    def meanwhile(message: Any, before_data: Any) -> None:
        happens()
        send(message, before_data)

    world.mailer.send = meanwhile  # type: ignore[method-assign]


def handed_back(world: World, job_id: str) -> bool:
    job = known(world.jobs, job_id)
    return (job["mail"]["state"], job["mail"]["tries"], job["work"]["notify"]) == ("pending", 0, {"attempts": 0})


def test_a_mail_that_might_not_fit_the_end_of_the_process_is_left_to_the_next(world: World) -> None:
    job_id = world.job()
    told_to_end_meanwhile(world, lambda: world.draining.begin(5))

    assert world.notify(job_id) == 503
    assert (world.mailer.sent, handed_back(world, job_id)) == ([], True)

    world.services = replace(world.services, draining=Draining())
    del world.mailer.send
    assert world.notify(job_id) == 200
    assert (len(world.mailer.sent), world.mail_state(job_id)) == (1, "sent")


def test_a_mail_that_fits_the_end_of_the_process_goes_out_and_is_recorded(world: World) -> None:
    job_id = world.job()
    told_to_end_meanwhile(world, lambda: world.draining.begin(260))

    assert world.notify(job_id) == 200
    assert (len(world.mailer.sent), world.mail_state(job_id)) == (1, "sent")


def test_a_mail_server_that_was_cut_off_at_the_end_of_the_process_is_not_blamed(world: World) -> None:
    job_id = world.job()
    world.mailer.error = MailAwayError("cut")
    told_to_end_meanwhile(world, world.draining.end)

    assert world.notify(job_id) == 503
    assert handed_back(world, job_id)


def test_a_process_that_ends_takes_no_mail(world: World) -> None:
    job_id = world.job()
    world.draining.begin(260)

    assert world.notify(job_id) == 503
    assert (world.mailer.sent, world.mail_state(job_id)) == ([], "pending")
