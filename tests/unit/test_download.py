import hashlib
import itertools
import os
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header
from werkzeug.test import Client

from functions.common.files import CHUNK_BYTES, MP3S, VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.common.mongo import AWAY
from functions.common.tokens import Verifier
from functions.common.web import Routes
from functions.download import handler
from tests.clients import Keys, client
from tests.contracts import begun
from tests.fakes import FakeMongo

DATA = os.urandom(2 * CHUNK_BYTES + 1000)
DIGEST = hashlib.sha256(DATA).hexdigest()


class World:
    """A download function over the fake database, and jobs to look at."""

    def __init__(self, mongo: Any, token_keys: Keys) -> None:
        self.mongo, self.keys = mongo, token_keys
        self.jobs = Jobs(lambda: mongo.database["jobs"])
        self.videos, self.mp3s = Bucket(mongo, VIDEOS), Bucket(mongo, MP3S)
        services = handler.Services(Verifier(token_keys.jwks), self.jobs, self.videos, self.mp3s)
        self.client: Client = client(Routes(handler.routes(services), unavailable=AWAY))

    def get(self, path: str, owner: str = "owner-1", **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(path, headers=self.keys.bearer(owner) | sent)

    def delete(self, path: str, owner: str = "owner-1") -> Any:
        return self.client.delete(path, headers=self.keys.bearer(owner))

    def queued(self, owner: str = "owner-1", name: str = "clip.mp4") -> str:
        run = begun(self.jobs, owner, name)
        writer = self.videos.writer(run.file_id)
        writer.write(b"video")
        writer.close(name, {})
        self.jobs.uploaded(run, 5, "00")
        return run.job_id

    def done(self, owner: str = "owner-1", name: str = "clip.mp3", keep: float = 7) -> dict[str, Any]:
        run = self.jobs.take("convert", self.queued(owner))
        assert run is not None
        writer = self.mp3s.writer(run.file_id)
        writer.write(DATA)
        writer.close(name, {})
        mp3 = {"file_id": writer.file_id, "filename": name, "length": len(DATA), "sha256": DIGEST}
        job = self.jobs.converted(run, mp3, {"duration": 1.0}, timedelta(days=keep))
        assert job is not None
        self.videos.delete(job["video"]["file_id"])
        return {"id": job["_id"], "mp3": str(writer.file_id)}


@pytest.fixture
def world(mongo: FakeMongo, token_keys: Keys) -> World:
    return World(mongo, token_keys)


def test_an_mp3_comes_whole_with_its_digest_and_name(world: World) -> None:
    answer = world.get(f"/v1/mp3s/{world.done()['mp3']}")

    assert (answer.status_code, answer.data, answer.mimetype) == (200, DATA, "audio/mpeg")
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert answer.headers["ETag"] == f'"{DIGEST}"'
    assert answer.headers["Repr-Digest"].startswith("sha-256=:")
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert parse_options_header(answer.headers["Content-Disposition"]) == ("attachment", {"filename": "clip.mp3"})


@pytest.mark.parametrize("query", ["id", "fid"])
def test_the_originals_call_takes_the_id_in_the_query(world: World, query: str) -> None:
    assert world.get(f"/download?{query}={world.done()['mp3']}").data == DATA


@pytest.mark.parametrize("name", ['a"b.mp3', "Grüße 日本.mp3", "a\\b;c.mp3", "%41.mp3"])
def test_any_name_survives_the_header(world: World, name: str) -> None:
    answer = world.get(f"/v1/mp3s/{world.done(name=name)['mp3']}")

    disposition = answer.headers["Content-Disposition"]
    assert parse_options_header(disposition)[1]["filename"] == name
    assert disposition.isascii()


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=-1000", len(DATA) - 1000, len(DATA)),
        ("bytes=100-", 100, len(DATA)),
        (f"bytes={CHUNK_BYTES - 1}-{CHUNK_BYTES}", CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        ("bytes=5-99999999", 5, len(DATA)),
    ],
)
def test_a_range_is_answered_with_just_that(world: World, asked: str, start: int, end: int) -> None:
    answer = world.get(f"/v1/mp3s/{world.done()['mp3']}", Range=asked)

    assert (answer.status_code, answer.data) == (206, DATA[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert answer.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=x", "bytes=", "bytes 0-5", "bytes=9-5"])
def test_a_range_that_is_not_served_is_ignored(world: World, asked: str) -> None:
    answer = world.get(f"/v1/mp3s/{world.done()['mp3']}", Range=asked)

    assert (answer.status_code, answer.data) == (200, DATA)


def test_a_range_beyond_the_end_is_416_and_tells_the_length(world: World) -> None:
    answer = world.get(f"/v1/mp3s/{world.done()['mp3']}", Range=f"bytes={len(DATA)}-")

    assert (answer.status_code, answer.json["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_None_Match": f'"{DIGEST}"'}, 304),
        ({"If_None_Match": f'W/"{DIGEST}"'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"other"'}, 200),
        ({"If_Match": f'"{DIGEST}"'}, 200),
        ({"If_Match": '"other"'}, 412),
        ({"If_Match": '"other"', "Range": "bytes=0-1"}, 412),
        ({"If_None_Match": f'"{DIGEST}"', "Range": "bytes=0-1"}, 304),
        ({"If_Range": f'"{DIGEST}"', "Range": "bytes=0-1"}, 206),
        ({"If_Range": '"other"', "Range": "bytes=0-1"}, 200),
        ({"If_Range": f'W/"{DIGEST}"', "Range": "bytes=0-1"}, 200),
        ({"If_Range": "Wed, 21 Oct 2026 07:28:00 GMT", "Range": "bytes=0-1"}, 200),
    ],
    ids=str,
)
def test_preconditions_follow_rfc_9110(world: World, headers: dict[str, str], status: int) -> None:
    assert world.get(f"/v1/mp3s/{world.done()['mp3']}", **headers).status_code == status


def test_head_tells_all_and_sends_nothing(world: World) -> None:
    path = f"/v1/mp3s/{world.done()['mp3']}"
    answer = world.client.head(path, headers=world.keys.bearer() | {"Range": "bytes=0-1"})

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(DATA))


@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=6))
def test_any_ranges_that_cover_the_file_make_the_file(cuts: list[int]) -> None:
    mongo: Any = FakeMongo()
    bucket = Bucket(mongo, MP3S)
    writer = bucket.writer(ObjectId())
    writer.write(DATA)
    writer.close("a.mp3", {})
    edges = sorted({0, *cuts, len(DATA)})

    pieces = [b"".join(bucket.read(writer.file_id, len(DATA), a, b)) for a, b in itertools.pairwise(edges)]

    assert b"".join(pieces) == DATA


def test_foreign_absent_and_malformed_ids_get_the_same_404(world: World) -> None:
    theirs = world.done("owner-2")
    video = world.mongo.database["jobs"].find_one({"_id": world.queued()})["video"]["file_id"]
    paths = [
        f"/v1/jobs/{theirs['id']}",
        "/v1/jobs/00000000-0000-4000-8000-000000000000",
        "/v1/jobs/nonsense",
        "/v1/jobs/%24gt",
        "/v1/jobs/a%2Fb",
        f"/v1/mp3s/{theirs['mp3']}",
        f"/v1/mp3s/{ObjectId()}",
        f"/v1/mp3s/{video}",
        "/v1/mp3s/nonsense",
        f"/download?id={theirs['mp3']}",
        "/download?id=nonsense",
        "/download",
    ]
    answers = [world.get(path) for path in paths]
    answers += [world.delete(path) for path in paths[:5]]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.data for answer in answers}) == 1
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1
    assert world.get(f"/v1/mp3s/{theirs['mp3']}", "owner-2").status_code == 200


def test_an_mp3_whose_time_is_over_is_410_to_its_owner_and_404_to_others(world: World) -> None:
    path = f"/v1/mp3s/{world.done(keep=-1)['mp3']}"

    mine, theirs = world.get(path), world.get(path, "owner-2")

    assert (mine.status_code, mine.json["code"]) == (410, "expired")
    assert theirs.status_code == 404


def test_a_job_shows_its_state_and_nothing_internal(world: World) -> None:
    waiting = world.get(f"/v1/jobs/{world.queued()}")
    done = world.done()
    finished = world.get(f"/v1/jobs/{done['id']}")

    assert (waiting.json["state"], waiting.json["mp3"], waiting.headers["Retry-After"]) == ("queued", None, "2")
    assert (finished.json["state"], finished.json["progress"]) == ("done", 100)
    assert finished.json["mp3"]["href"] == f"/v1/mp3s/{done['mp3']}"
    assert "Retry-After" not in finished.headers
    for name in ("owner", "email", "work", "outbox", "token"):
        assert name not in finished.text


def test_pages_lead_through_all_jobs_of_the_account_only(world: World) -> None:
    mine = {world.queued() for _ in range(5)}
    world.queued("owner-2")

    seen, path = [], "/v1/jobs?limit=2"
    while path:
        answer = world.get(path)
        seen += [job["id"] for job in answer.json["jobs"]]
        path = answer.json["next"]
        assert ("Link" in answer.headers) == bool(path)

    assert (len(seen), set(seen)) == (5, mine)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=", "limit=9999999", "cursor=x", "cursor=W10=", "cursor=é", "cursor="],
)
def test_a_bad_page_is_refused(world: World, query: str) -> None:
    answer = world.get(f"/v1/jobs?{query}")

    assert (answer.status_code, answer.json["code"]) == (400, "malformed_request")


def test_deleting_an_unfinished_job_cancels_it_and_removes_its_video(world: World) -> None:
    job_id = world.queued()

    answers = [world.delete(f"/v1/jobs/{job_id}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert world.get(f"/v1/jobs/{job_id}").json["state"] == "cancelled"
    assert world.mongo.everything() == {"jobs": 1}


def test_deleting_a_finished_job_removes_its_mp3(world: World) -> None:
    done = world.done()

    assert world.delete(f"/v1/jobs/{done['id']}").status_code == 204
    assert world.get(f"/v1/jobs/{done['id']}").json["state"] == "expired"
    assert world.get(f"/v1/mp3s/{done['mp3']}").status_code == 410
    assert world.mongo.everything() == {"jobs": 1}


def test_every_call_wants_a_token(world: World) -> None:
    for path in ("/v1/jobs", "/v1/jobs/x", "/v1/mp3s/x", "/download?id=x"):
        answer = world.client.get(path)
        assert (answer.status_code, answer.json["code"]) == (401, "token_missing")


@pytest.mark.parametrize("after", [0, 1])
def test_mongodb_away_is_503_even_between_the_job_and_its_file(world: World, after: int) -> None:
    path = f"/v1/mp3s/{world.done()['mp3']}"
    world.mongo.database.after = after

    answer = world.get(path)

    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert "Retry-After" in answer.headers


def test_a_hole_in_a_stored_mp3_is_never_a_short_answer(world: World) -> None:
    done = world.done()
    world.mongo.database["mp3s.chunks"].delete_one({"n": 0})

    assert world.get(f"/v1/mp3s/{done['mp3']}").status_code == 500
