"""Idempotency-Key on POST /v1/jobs: one job for one file, however often the client has to ask."""

import io
from typing import Any

import pytest
from werkzeug.test import Client

from functions.common.files import VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.common.mongo import AWAY
from functions.common.tokens import Verifier
from functions.common.web import Routes
from functions.upload import handler
from tests.clients import Keys, client
from tests.contracts import Clock
from tests.fakes import FakeMongo, FakePublisher

VIDEO = b"\x00\x00\x00\x18ftypisom" + b"x" * 300_000


class World:
    """Upload over fakes, with a clock to move."""

    def __init__(self, mongo: Any, publisher: Any, keys: Keys) -> None:
        self.mongo, self.clock, self.keys = mongo, Clock(), keys
        self.jobs = Jobs(lambda: mongo.database["jobs"], 60, self.clock)
        services = handler.Services(Verifier(keys.jwks), self.jobs, Bucket(mongo, VIDEOS), publisher, 1_000_000)
        self.client: Client = client(Routes(handler.routes(services), unavailable=AWAY))

    def post(self, key: str, data: bytes = VIDEO, owner: str = "owner-1") -> Any:
        headers = self.keys.bearer(owner) | {"Idempotency-Key": key}
        environ = {"wsgi.input": io.BytesIO(data), "wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(data))}
        return self.client.post("/v1/jobs?filename=a.mp4", headers=headers, environ_overrides=environ)


@pytest.fixture
def world(mongo: FakeMongo, publisher: FakePublisher, token_keys: Keys) -> World:
    return World(mongo, publisher, token_keys)


def test_the_same_key_and_file_give_the_same_job_and_one_stored_video(world: World) -> None:
    answers = [world.post("key-1") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert world.mongo.everything() == {"jobs": 1, "videos.files": 1, "videos.chunks": 2}


def test_another_file_under_the_key_is_refused(world: World) -> None:
    first = world.post("key-1")

    answer = world.post("key-1", VIDEO + b"y")

    assert (answer.status_code, answer.json["code"]) == (422, "key_reused")
    assert world.mongo.everything()["jobs"] == 1
    assert world.post("key-1").json["id"] == first.json["id"]


def test_keys_of_other_accounts_and_other_keys_are_independent(world: World) -> None:
    ids = {
        world.post("key-1").json["id"],
        world.post("key-2").json["id"],
        world.post("key-1", owner="other").json["id"],
    }

    assert len(ids) == 3


def test_while_the_upload_is_under_way_the_key_is_409(world: World) -> None:
    assert world.jobs.begin("owner-1", "a@demo.example", "a.mp4", "key-1")

    answer = world.post("key-1")

    assert (answer.status_code, answer.json["code"]) == (409, "in_flight")
    assert int(answer.headers["Retry-After"]) > 0
    assert world.mongo.everything() == {"jobs": 1}


def test_an_upload_whose_run_is_dead_is_taken_over_under_its_job(world: World) -> None:
    run = world.jobs.begin("owner-1", "a@demo.example", "a.mp4", "key-1")
    assert run is not None
    writer = Bucket(world.mongo, VIDEOS).writer(run.file_id)
    writer.write(VIDEO * 10)
    world.clock.forward(61)

    answer = world.post("key-1")

    assert (answer.status_code, answer.json["id"], answer.json["state"]) == (202, run.job_id, "queued")
    (record,) = world.mongo.database["jobs"].find()
    assert [entry["file_id"] for entry in record["litter"]] == [run.file_id]
    assert world.jobs.uploaded(run, 1, "") is None


def test_a_refused_upload_frees_its_key(world: World) -> None:
    assert world.post("key-1", b"\x00\x00\x00\x18ftypisom" + b"x" * 1_000_000).status_code == 413

    assert world.post("key-1").status_code == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
def test_a_key_has_1_to_255_visible_characters(world: World, key: str) -> None:
    answer = world.post(key)

    assert (answer.status_code, answer.json["code"]) == (400, "malformed_request")
    assert world.mongo.everything() == {}
