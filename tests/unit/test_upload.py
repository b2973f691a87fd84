import io
import os
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import Client, encode_multipart

from functions.common.files import VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.common.mongo import AWAY
from functions.common.tokens import Verifier
from functions.common.web import Routes
from functions.upload import handler
from functions.upload.body import FORM_BYTES
from functions.upload.media import looks_like_media
from tests.clients import Keys, client
from tests.fakes import FakeMongo, FakePublisher

MOST = 6_000_000
HEAD = b"\x00\x00\x00\x18ftypisom"


@pytest.fixture
def services(mongo: FakeMongo, publisher: FakePublisher, token_keys: Keys) -> handler.Services:
    jobs = Jobs(lambda: mongo.database["jobs"])  # type: ignore[arg-type,return-value]
    videos = Bucket(mongo, VIDEOS)  # type: ignore[arg-type]
    return handler.Services(Verifier(token_keys.jwks), jobs, videos, publisher, MOST)  # type: ignore[arg-type]


@pytest.fixture
def upload(services: handler.Services) -> Client:
    return client(Routes(handler.routes(services), unavailable=AWAY))


def video(length: int = 1000) -> bytes:
    return HEAD + os.urandom(length - len(HEAD))


def post(upload: Client, stream: Any, length: int | None, headers: dict[str, str]) -> Any:
    """Posts a raw body as gunicorn would hand it over, whatever its announced length."""
    environ = {"wsgi.input": stream, "wsgi.input_terminated": True}
    announced = {} if length is None else {"CONTENT_LENGTH": str(length)}
    return upload.post("/v1/jobs", headers=headers, environ_overrides=environ | announced)


def form(data: bytes, name: str = "clip.mp4", field: str = "file") -> dict[str, Any]:
    """What a browser's form sends: the file between two other fields."""
    file = FileStorage(io.BytesIO(data), name)
    boundary, body = encode_multipart(MultiDict([("before", "text"), (field, file), ("after", "text")]))
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}


def stored(mongo: FakeMongo, job: dict[str, Any]) -> bytes:
    (record,) = mongo.database["jobs"].find({"_id": job["id"]})
    bucket = Bucket(mongo, VIDEOS)  # type: ignore[arg-type]
    length = record["video"]["length"]
    return b"".join(bucket.read(record["video"]["file_id"], length, 0, length))


@pytest.mark.parametrize("length", [1000, 65_536, 65_537, 5_000_000, MOST])
@pytest.mark.parametrize("way", ["form", "raw"])
def test_a_video_is_stored_whole_and_announced(
    upload: Client, mongo: FakeMongo, publisher: FakePublisher, token_keys: Keys, length: int, way: str
) -> None:
    data = video(length)
    sent = form(data) if way == "form" else {"data": data, "query_string": {"filename": "clip.mp4"}}

    answer = upload.post("/v1/jobs", headers=token_keys.bearer(), **sent)

    assert answer.status_code == 202
    job = answer.json
    assert (job["state"], job["filename"], job["length"]) == ("queued", "clip.mp4", length)
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert stored(mongo, job) == data
    ((queue, event),) = publisher.published
    assert (queue, event.job_id, event.kind) == ("video", job["id"], "video.uploaded.v1")
    (record,) = mongo.database["jobs"].find()
    assert (record["owner"], record["email"]) == ("owner-1", "owner-1@demo.example")
    assert record["outbox"]["video"]["state"] == "sent"


def test_the_originals_call_does_the_same(upload: Client, token_keys: Keys) -> None:
    answer = upload.post("/upload", **form(video()), headers=token_keys.bearer())

    assert (answer.status_code, answer.json["state"]) == (202, "queued")


def test_a_broker_that_is_away_changes_nothing_for_the_client(
    upload: Client, mongo: FakeMongo, publisher: FakePublisher, token_keys: Keys
) -> None:
    publisher.down = True

    answer = upload.post("/v1/jobs", data=video(), headers=token_keys.bearer())

    assert answer.status_code == 202
    (record,) = mongo.database["jobs"].find()
    assert (record["state"], record["outbox"]["video"]["state"]) == ("queued", "pending")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"data": b""}, 415, "not_media"),
        ({"data": b"just text, " * 50_000}, 415, "not_media"),
        (form(b"just text"), 415, "not_media"),
        (form(b""), 415, "not_media"),
        (form(video(MOST + 1)), 413, "too_large"),
        ({"data": video(MOST + 1)}, 413, "too_large"),
        (form(video(), field="video"), 400, "malformed_multipart"),
        ({"data": {"file": "no file name"}, "content_type": "multipart/form-data"}, 400, "malformed_multipart"),
        ({"data": b"x" * 1000, "content_type": "multipart/form-data"}, 400, "malformed_multipart"),
        ({"data": b"x" * 1000, "content_type": "multipart/form-data; boundary=b"}, 400, "malformed_multipart"),
        ({"data": b"x" * 5_500_000, "content_type": "multipart/form-data; boundary=b"}, 400, "malformed_multipart"),
    ],
)
def test_what_is_refused_leaves_nothing(
    upload: Client,
    mongo: FakeMongo,
    publisher: FakePublisher,
    token_keys: Keys,
    sent: dict[str, Any],
    status: int,
    code: str,
) -> None:
    answer = upload.post("/v1/jobs", headers=token_keys.bearer(), **sent)

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert mongo.everything() == {}
    assert publisher.published == []


def test_a_body_without_a_length_is_refused_once_it_is_too_long(
    upload: Client, mongo: FakeMongo, token_keys: Keys
) -> None:
    stream = io.BytesIO(video(MOST + 1))

    answer = post(upload, stream, None, token_keys.bearer())

    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert stream.read() == b""
    assert mongo.everything() == {}


def broken_form(data: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    return head + data + b"\r\n--b\r\nContent-Dispo"


def test_a_form_that_breaks_off_behind_its_file_leaves_nothing(
    upload: Client, mongo: FakeMongo, token_keys: Keys
) -> None:
    answer = upload.post(
        "/v1/jobs",
        data=broken_form(video(5_000_000)),
        content_type="multipart/form-data; boundary=b",
        headers=token_keys.bearer(),
    )

    assert (answer.status_code, answer.json["code"]) == (400, "malformed_multipart")
    assert mongo.everything() == {}


@pytest.mark.parametrize("kept", [0, 100, 70_000, 4_999_999])
def test_a_body_shorter_than_announced_leaves_nothing(
    upload: Client, mongo: FakeMongo, token_keys: Keys, kept: int
) -> None:
    data = video(5_000_000)

    answer = post(upload, io.BytesIO(data[:kept]), len(data), token_keys.bearer())

    assert (answer.status_code, answer.json["code"]) == (400, "incomplete_body")
    assert mongo.everything() == {}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer x"}])
def test_without_a_valid_token_the_body_is_not_read(upload: Client, mongo: FakeMongo, headers: dict[str, str]) -> None:
    class Unreadable(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise AssertionError("the body was read")

    answer = post(upload, Unreadable(), 10, headers)

    assert answer.status_code == 401
    assert answer.json["code"] in ("token_missing", "token_invalid")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert mongo.everything() == {}


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_mongodb_away_is_503_and_nothing_is_published(
    upload: Client, mongo: FakeMongo, publisher: FakePublisher, token_keys: Keys, after: int
) -> None:
    mongo.database.after = after

    answer = upload.post("/v1/jobs", data=video(300_000), headers=token_keys.bearer())

    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert "Retry-After" in answer.headers
    assert publisher.published == []


@pytest.mark.parametrize("room", [0, 1, 4, 9, 17])  # job, chunks, file
@pytest.mark.parametrize("sized", [True, False])
def test_without_room_it_is_507_once_the_body_is_read_and_nothing_is_left(
    upload: Client, mongo: FakeMongo, publisher: FakePublisher, token_keys: Keys, room: int, sized: bool
) -> None:
    left, use = [room], mongo.database.use

    def fills(kind: str = "find") -> None:
        left[0] -= kind == "insert"
        mongo.database.refused = ["insert"] if left[0] < 0 else []
        use(kind)

    mongo.database.use = fills  # type: ignore[method-assign]
    stream = io.BytesIO(video(4_000_000))

    answer = post(upload, stream, 4_000_000 if sized else None, token_keys.bearer())

    assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
    assert int(answer.headers["Retry-After"]) > 0
    assert stream.read() == b""
    assert mongo.everything() == {}
    assert publisher.published == []


def test_where_even_tidying_up_takes_room_what_is_left_is_known_to_the_janitor(
    upload: Client, mongo: FakeMongo, token_keys: Keys
) -> None:
    class Filling(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 3_000_000:
                mongo.database.refused = ["insert", "update", "delete"]
            return super().read(size)

    answer = post(upload, Filling(video(5_000_000)), 5_000_000, token_keys.bearer())

    assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
    mongo.everything()
    (record,) = mongo.database["jobs"].find()
    assert record["state"] == "uploading"
    assert [entry["file_id"] for entry in record["litter"]] == [record["video"]["file_id"]]


def test_a_commit_without_an_answer_is_settled_and_answered(
    services: handler.Services, upload: Client, mongo: FakeMongo, token_keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded = services.jobs.uploaded

    def commit_and_break(*arguments: Any) -> Any:
        uploaded(*arguments)
        raise ServerSelectionTimeoutError("no answer")

    monkeypatch.setattr(services.jobs, "uploaded", commit_and_break)
    data = video(300_000)

    answer = upload.post("/v1/jobs", data=data, headers=token_keys.bearer())

    assert (answer.status_code, answer.json["state"]) == (202, "queued")
    assert stored(mongo, answer.json) == data


def test_cancelling_during_the_upload_ends_it_and_leaves_no_file(
    services: handler.Services, upload: Client, mongo: FakeMongo, token_keys: Keys
) -> None:
    class Cancelling(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            for record in mongo.database["jobs"].find({"state": "uploading"}):
                services.jobs.cancel(record)
            return super().read(size)

    data = video(5_000_000)
    answer = post(upload, Cancelling(data), len(data), token_keys.bearer())

    assert (answer.status_code, answer.json["code"]) == (409, "cancelled")
    assert mongo.everything() == {"jobs": 1}


@pytest.mark.parametrize(
    ("headers", "status", "refusal"),
    [
        ({"X-Original-Length": "1000"}, 204, None),
        ({}, 204, None),
        ({"X-Original-Length": str(MOST)}, 204, None),
        ({"X-Original-Length": str(MOST + 1)}, 403, ("413", "too_large")),
        ({"X-Original-Length": str(MOST + 1), "X-Original-Type": "multipart/form-data; boundary=b"}, 204, None),
        (
            {"X-Original-Length": str(MOST + FORM_BYTES + 1), "X-Original-Type": "multipart/form-data; boundary=b"},
            403,
            ("413", "too_large"),
        ),
    ],
)
def test_the_check_refuses_by_headers_alone(
    upload: Client, token_keys: Keys, headers: dict[str, str], status: int, refusal: tuple[str, str] | None
) -> None:
    answer = upload.get("/check", headers=token_keys.bearer() | headers)

    assert answer.status_code == status
    assert refusal in (None, (answer.headers.get("X-Refusal"), answer.headers.get("X-Problem")))


def test_the_check_answers_401_with_the_code_in_a_header(upload: Client, token_keys: Keys) -> None:
    missing = upload.get("/check")
    expired = upload.get("/check", headers=token_keys.bearer(exp=1))

    assert (missing.status_code, missing.headers["X-Problem"]) == (401, "token_missing")
    assert (expired.status_code, expired.headers["X-Problem"]) == (401, "token_invalid")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\clip.mp4", "clip.mp4"),
        ("a\r\nBcc: x@demo.example.mp4", "aBcc: x@demo.example.mp4"),
        ("evil\u202e4pm.exe", "evil4pm.exe"),
        ("-i.mp4", "-i.mp4"),
        ("a%03d|b*.mp4", "a%03d|b*.mp4"),
        ("Grüße 日本.mp4", "Grüße 日本.mp4"),
        ("", "video"),
        ("é" * 300, "é" * 127),
    ],
)
def test_a_file_name_is_kept_as_data_only(upload: Client, token_keys: Keys, name: str, kept: str) -> None:
    answer = upload.post("/v1/jobs", data=video(), query_string={"filename": name}, headers=token_keys.bearer())

    assert answer.json["filename"] == kept


@pytest.mark.parametrize(
    "head",
    [
        HEAD,
        b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat",
        b"\x1a\x45\xdf\xa3" + b"x" * 100,
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        (b"\x47" + b"x" * 187) * 5,
        (b"\x00\x00\x00\x00\x47" + b"x" * 187) * 5,
        b"ID3\x04\x00",
        b"\xff\xfb\x90\x64" + b"\x00" * 100,
        b"\xff\xf1\x50\x80" + b"\x00" * 100,
        b"fLaC\x00",
        b"OggS\x00",
        b"FLV\x01\x05",
    ],
)
def test_every_container_that_convert_reads_passes_the_sieve(head: bytes) -> None:
    assert looks_like_media(head)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"x",
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile x.mp4\n",
        b"<?xml version='1.0'?><MPD/>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"\x89PNG\r\n\x1a\n",
        b"\x7fELF",
        b"G" * 100,
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"\xff\xff\xff\xff",
    ],
)
def test_nothing_else_does(head: bytes) -> None:
    assert not looks_like_media(head)


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
def test_a_wrong_idempotency_key_is_told_once_the_body_is_read(upload: Client, token_keys: Keys, key: str) -> None:
    stream = io.BytesIO(video(200_000))  # an answer in its middle would reach the client as a 503 of the gateway's

    answer = post(upload, stream, 200_000, token_keys.bearer() | {"Idempotency-Key": key})

    assert (answer.status_code, answer.json["code"]) == (400, "malformed_request")
    assert stream.tell() == 200_000
