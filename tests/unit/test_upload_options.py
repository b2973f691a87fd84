"""How a client's options come with an upload: in the query, in a form's fields before or behind the file, in JSON."""

import io
import json
from typing import Any

import pytest
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import Client, encode_multipart

from functions.common.files import VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.common.mongo import AWAY
from functions.common.options import MOST_CHARACTERS
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


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "application/json"}], ids=["of no type", "of type application/json"]
)
@pytest.mark.parametrize("filename", [None, "options.json"])
def test_options_come_as_a_part_of_json(
    upload: Client, mongo: FakeMongo, token_keys: Keys, filename: str | None, headers: dict[str, str]
) -> None:
    # What curl sends for -F 'options={…};type=application/json' and for -F options=@options.json.
    said = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    name = f'; filename="{filename}"' if filename else ""
    body = (
        f'--b\r\nContent-Disposition: form-data; name="options"{name}\r\n{said}\r\n{{"start": 1, "cover": false}}\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="clip.mp4"\r\n\r\n'
    ).encode() + VIDEO

    answer = upload.post(
        "/v1/jobs",
        data=body + b"\r\n--b--\r\n",
        content_type="multipart/form-data; boundary=b",
        headers=token_keys.bearer(),
    )

    assert answer.status_code == 202
    assert asked(mongo, answer.json) == {"start": 1.0, "cover": False}
    assert answer.json["filename"] == "clip.mp4"


NO_OPTIONS = [
    *(("quality", value) for value in ("best", "V10", "100", "321", "", "V2 ")),
    *(("start", value) for value in ("-0.001", "86401", "nan", "inf", "1,5", "", "0x10")),
    *(("end", value) for value in ("0", "-1", "nan", "soon")),
    *(("loudness", value) for value in ("-40.1", "-4.9", "0", "nan", "loud")),
    *(("track", value) for value in ("0", "100", "german", "d", "-1", "1.0", "")),
    *((name, value) for name in ("title", "artist", "album") for value in ("x" * 201, "two\nlines", "\0", "x" * 5000)),
    *(("cover", value) for value in ("perhaps", "2", "")),
]
NO_JSON = ["[", "[]", "null", "", '"V2"', '{"volume": 3}', '{"quality": "V2"', "[" * 4000, "\xff"]
NO_JSON_VALUES = ["null", "[]", "{}", "1e999", "NaN", "1" + "0" * 400]


def refused(upload: Client, mongo: FakeMongo, request: dict[str, Any], name: str) -> None:
    """Asserts that the upload is refused with the option's name, and nothing is left of it."""
    answer = upload.post(**request)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_option")
    assert f"`{name}`" in answer.json["detail"]
    assert answer.json["detail"].endswith(".")
    assert mongo.everything() == {}


@pytest.mark.parametrize(("name", "value"), NO_OPTIONS, ids=lambda text: repr(text)[:20])
def test_what_is_no_option_is_refused_by_its_name_however_it_comes_and_leaves_nothing(
    upload: Client, mongo: FakeMongo, token_keys: Keys, name: str, value: str
) -> None:
    to = {"path": "/v1/jobs", "headers": token_keys.bearer()}

    refused(upload, mongo, {**to, "query_string": {name: value}, "data": VIDEO}, name)
    for options_last in (False, True):
        for option in ((name, value), ("options", json.dumps({name: value}))):
            refused(upload, mongo, {**to, **form_with([option], options_last=options_last)}, name)


@pytest.mark.parametrize("options_last", [False, True])
@pytest.mark.parametrize("said", NO_JSON, ids=lambda text: repr(text)[:20])
def test_what_is_no_object_of_options_is_refused(
    upload: Client, mongo: FakeMongo, token_keys: Keys, said: str, options_last: bool
) -> None:
    request = form_with([("options", said)], options_last=options_last)

    refused(upload, mongo, {"path": "/v1/jobs", "headers": token_keys.bearer(), **request}, "options")


@pytest.mark.parametrize("value", NO_JSON_VALUES, ids=lambda text: repr(text)[:20])
@pytest.mark.parametrize("name", ["quality", "start", "end", "loudness", "track", "title", "cover"])
def test_what_only_json_can_say_is_no_option_either(
    upload: Client, mongo: FakeMongo, token_keys: Keys, name: str, value: str
) -> None:
    request = form_with([("options", f'{{"{name}": {value}}}')], options_last=False)

    refused(upload, mongo, {"path": "/v1/jobs", "headers": token_keys.bearer(), **request}, name)


def test_the_longest_labels_come_through_json_that_escapes_them(
    upload: Client, mongo: FakeMongo, token_keys: Keys
) -> None:
    labels = {name: "\N{MUSICAL SYMBOL G CLEF}" * MOST_CHARACTERS for name in ("title", "artist", "album")}
    request = form_with([("options", json.dumps(labels))], options_last=False)

    answer = upload.post("/v1/jobs", **request, headers=token_keys.bearer())

    assert answer.json["options"] == labels


def test_an_end_before_the_start_is_refused_even_where_they_come_apart(
    upload: Client, mongo: FakeMongo, token_keys: Keys
) -> None:
    request = form_with([("end", "4")], options_last=True)
    request |= {"path": "/v1/jobs", "query_string": {"start": "4"}, "headers": token_keys.bearer()}

    refused(upload, mongo, request, "end")


def test_under_a_key_other_options_are_another_upload(upload: Client, token_keys: Keys) -> None:
    headers = token_keys.bearer() | {"Idempotency-Key": "key-1"}

    first, again, other = (
        upload.post(f"/v1/jobs?quality={quality}", data=VIDEO, headers=headers) for quality in ("V2", "V2", "V4")
    )

    assert first.json["id"] == again.json["id"]
    assert (other.status_code, other.json["code"]) == (422, "key_reused")
