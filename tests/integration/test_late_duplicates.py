"""What an event costs that comes when nothing is left to do: two commands to the database, none of them to GridFS.

Counted by the driver as it sends them. Convert and notify are wired as in production, down to the converting child.
"""

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pymongo
import pytest
from cloudevents.http import CloudEvent
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
from werkzeug.exceptions import HTTPException

from functions.common import mongo as driver
from functions.common.files import MP3S, VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.common.mongo import Mongo
from functions.convert import handler as convert
from functions.migrate.main import migrate_mongo
from functions.notify import handler as notify
from functions.notify.mail import MailAwayError, MailRefusedError
from tests import media
from tests.contracts import begun
from tests.fakes import FakeMailer, FakePublisher

MOST_COMMANDS = 2
OWNER = "owner-1"
CLIP = media.make("wav", seconds=1)


class Commands(CommandListener):
    """Notes which collection each command is about."""

    def __init__(self) -> None:
        self.collections: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.collections.append(str(event.command[event.command_name]))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


class World:
    """Convert and notify over the real database, and jobs for them."""

    def __init__(self, mongo: Mongo, commands: Commands) -> None:
        self.jobs = Jobs(lambda: mongo.database["jobs"])
        self.mailer, self.commands = FakeMailer(), commands
        self.videos = Bucket(mongo, VIDEOS)
        publisher: Any = FakePublisher()
        mailer: Any = self.mailer
        self.converting = convert.Services(self.jobs, self.videos, Bucket(mongo, MP3S), publisher, 60, 60, 7)
        self.notifying = notify.Services(self.jobs, mailer, "mp3@demo.example", "https://mp3.demo.example")

    def queued(self, video: bytes) -> str:
        run = begun(self.jobs, OWNER, "clip.wav")
        writer = self.videos.writer(run.file_id)
        writer.write(video)
        writer.close("clip.wav", {})
        assert self.jobs.uploaded(run, len(video), "00")
        return run.job_id

    def deliver(self, stage: str, job_id: str) -> int:
        """Delivers an event as new; the status that the source would see."""
        event = CloudEvent({"type": "some.type", "source": "/jobs", "id": str(uuid.uuid4())}, {"job_id": job_id})
        try:
            if stage == "convert":
                convert.handle(event, self.converting)
            else:
                notify.handle(event, self.notifying)
        except HTTPException as error:
            return error.code or 500
        return 200

    def late(self, stage: str, job_id: str) -> tuple[int, list[str]]:
        """Delivers an event; the status and the collections that were asked, one for each command."""
        self.commands.collections.clear()
        return self.deliver(stage, job_id), list(self.commands.collections)

    def job(self, job_id: str) -> dict[str, Any]:
        job = self.jobs.get(job_id, OWNER)
        assert job is not None
        return job


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def world(backing: Any, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(driver, "MongoClient", partial(pymongo.MongoClient, event_listeners=[commands]))
    host, _, query = backing.mongo_url.partition("?")
    mongo = Mongo(f"{host.rpartition('/')[0]}/test-{uuid.uuid4().hex[:12]}?{query}")
    migrate_mongo(mongo)
    yield World(mongo, commands)
    mongo.database.client.drop_database(mongo.database.name)
    mongo.database.client.close()


def ends(world: World, video: bytes, job: str, mail: str) -> str:
    """A job for which both events have come once, and how it must have ended by then."""
    job_id = world.queued(video)
    assert [world.deliver("convert", job_id), world.deliver("notify", job_id)] == [200, 200]
    record = world.job(job_id)
    assert (record["state"], record["mail"]["state"]) == (job, mail)
    return job_id


def done(world: World) -> str:
    return ends(world, CLIP, "done", "sent")


def failed(world: World) -> str:
    return ends(world, b"no video at all", "failed", "sent")


def mail_refused(world: World) -> str:
    world.mailer.error = MailRefusedError("answer 550")
    return ends(world, CLIP, "done", "failed")


def mail_put_off(world: World) -> str:
    world.mailer.error = MailAwayError("answer 450")
    return ends(world, CLIP, "done", "pending")


def cancelled(world: World) -> str:
    job_id = world.queued(CLIP)
    assert world.jobs.cancel(world.job(job_id))
    return job_id


def expired(world: World) -> str:
    job_id = done(world)
    assert world.jobs.expire(world.job(job_id))
    return job_id


def unknown(world: World) -> str:
    return str(uuid.uuid4())


@pytest.mark.parametrize("stage", ["convert", "notify"])
@pytest.mark.parametrize("ended", [done, failed, mail_refused, mail_put_off, cancelled, expired, unknown])
def test_an_event_for_a_job_that_has_ended_costs_two_commands_and_no_file(
    world: World, stage: str, ended: Callable[[World], str]
) -> None:
    job_id = ended(world)
    mails = len(world.mailer.sent)

    for _ in range(3):
        status, asked = world.late(stage, job_id)

        assert status == 200
        assert 1 <= len(asked) <= MOST_COMMANDS
        assert set(asked) == {"jobs"}
    assert len(world.mailer.sent) == mails


@pytest.mark.parametrize("stage", ["convert", "notify"])
def test_an_event_for_a_job_that_another_run_has_costs_no_more(world: World, stage: str) -> None:
    job_id = world.queued(CLIP)
    if stage == "notify":
        assert world.deliver("convert", job_id) == 200
    assert world.jobs.take(stage, job_id)

    assert world.late(stage, job_id) == (409, ["jobs"] * MOST_COMMANDS)


def test_a_mail_that_is_announced_before_the_mp3_is_there_costs_no_more(world: World) -> None:
    job_id = world.queued(CLIP)

    assert world.late("notify", job_id) == (200, ["jobs"] * MOST_COMMANDS)
    assert world.mailer.sent == []
