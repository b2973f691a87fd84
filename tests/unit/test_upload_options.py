"""How a client's options come with an upload: in the query, in a form's fields before or behind the file, in JSON."""

import io
from typing import Any

import pytest
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import Client, encode_multipart

from functions.common.files import VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.common.mongo import AWAY
from functions.common.tokens import Verifier
from functions.common.web import Routes
from functions.upload import handler
from tests.clients import Keys, client
from tests.fakes import FakeMongo, FakePublisher

VIDEO = b"\x00\x00\x00\x18ftypisom" + bytes(1000)


@pytest.fixture
def upload(mongo: FakeMongo, publisher: FakePublisher, token_keys: Keys) -> Client:
    jobs = Jobs(lambda: mongo.database["jobs"])  # type: ignore[arg-type,return-value]
    videos = Bucket(mongo, VIDEOS)  # type: ignore[arg-type]
    services = handler.Services(Verifier(token_keys.jwks), jobs, videos, publisher, 6_000_000)  # type: ignore[arg-type]
    return client(Routes(handler.routes(services), unavailable=AWAY))


def asked(mongo: FakeMongo, job: dict[str, Any]) -> dict[str, Any]:
    (record,) = mongo.database["jobs"].find({"_id": job["id"]})
    options: dict[str, Any] = record["options"]
    return options


def form_with(options: list[tuple[str, str]], *, options_last: bool) -> dict[str, Any]:
    file: list[tuple[str, Any]] = [("file", FileStorage(io.BytesIO(VIDEO), "clip.mp4"))]
    boundary, body = encode_multipart(MultiDict([*file, *options] if options_last else [*options, *file]))
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}


def test_options_come_in_the_query(upload: Client, mongo: FakeMongo, token_keys: Keys) -> None:
    answer = upload.post("/v1/jobs?quality=v4&start=1.5&lang=x", data=VIDEO, headers=token_keys.bearer())

    assert answer.status_code == 202
    assert answer.json["options"] == asked(mongo, answer.json) == {"quality": "V4", "start": 1.5}


@pytest.mark.parametrize("options_last", [False, True])
@pytest.mark.parametrize(
    "options", [[("quality", "128"), ("title", "Ein Tag")], [("options", '{"quality": "128", "title": "Ein Tag"}')]]
)
def test_options_come_in_a_form(
    upload: Client, mongo: FakeMongo, token_keys: Keys, options: list[tuple[str, str]], options_last: bool
) -> None:
    answer = upload.post("/v1/jobs", **form_with(options, options_last=options_last), headers=token_keys.bearer())

    assert answer.status_code == 202
    assert asked(mongo, answer.json) == {"quality": "128", "title": "Ein Tag"}


@pytest.mark.parametrize("options_last", [False, True])
@pytest.mark.parametrize(
    "option", [("quality", "best"), ("options", "["), ("options", '{"volume": 3}'), ("title", "x" * 5000)]
)
def test_an_option_that_is_none_leaves_nothing(
    upload: Client, mongo: FakeMongo, token_keys: Keys, option: tuple[str, str], options_last: bool
) -> None:
    answer = upload.post("/v1/jobs", **form_with([option], options_last=options_last), headers=token_keys.bearer())

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_option")
    assert f"`{option[0]}`" in answer.json["detail"]
    assert mongo.everything() == {}


def test_under_a_key_other_options_are_another_upload(upload: Client, token_keys: Keys) -> None:
    headers = token_keys.bearer() | {"Idempotency-Key": "key-1"}

    first, again, other = (
        upload.post(f"/v1/jobs?quality={quality}", data=VIDEO, headers=headers) for quality in ("V2", "V2", "V4")
    )

    assert first.json["id"] == again.json["id"]
    assert (other.status_code, other.json["code"]) == (422, "key_reused")
