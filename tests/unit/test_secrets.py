"""What `make secrets` makes, keeps, renews and asks for."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import uri_parser

from functions.migrate import accounts
from knative import secrets
from knative.credentials import NAMES, MissingError, Secrets, wanted

ROOT = Path(__file__).parents[2]
INSIDE = {"mysql", "mongodb", "rabbitmq", "inbox"}
GIVEN = {
    "MYSQL_URL": "mysql://us:pw@mysql:3306/accounts",
    "MONGO_URL": "mongodb://mongodb:27017/video_to_mp3",
    "RABBITMQ_URL": "amqp://us:pw@rabbitmq:5672/%2F",
    "SMTP_URL": "smtps://us:pw@smtp:465",
}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder for token keys that is not there yet."""
    return tmp_path / "keys"


@pytest.fixture
def local(keys: Path) -> Secrets:
    """All secrets of a cluster that runs everything itself."""
    return wanted(INSIDE, {}, {}, keys)


def password(url: str) -> str:
    return urlsplit(url).password or ""


def test_every_password_in_the_cluster_is_another(local: Secrets) -> None:
    urls = [
        text
        for name in ("mysql", "mongodb", "rabbitmq")
        for key, text in local[name].items()
        if key.endswith("-url") and key != "migrate-url"
    ]
    passwords = {password(url) for url in urls} | {
        local["mysql"]["root-password"],
        local["mongodb"]["root-password"],
        local["mongodb"]["keyfile"],
        local["rabbitmq"]["admin-password"],
    }

    assert len(passwords) == len(urls) + 4
    assert min(map(len, passwords)) >= 32
    assert set(local) == set(NAMES)


def test_the_migration_logs_in_as_root_and_finds_each_account_that_it_makes(local: Secrets) -> None:
    assert password(local["mysql"]["migrate-url"]) == local["mysql"]["root-password"]
    assert urlsplit(local["mysql"]["auth-url"]).username == "auth"
    root = uri_parser.parse_uri(local["mongodb"]["migrate-url"])
    assert (root["username"], root["password"]) == ("root", local["mongodb"]["root-password"])
    assert root["options"]["authSource"] == "admin"
    for name in accounts.MONGO:
        address = uri_parser.parse_uri(local["mongodb"][f"{name}-url"])
        assert address["username"] == name
        assert address["nodelist"] == [("mongodb-0.mongodb", 27017)]
        assert address["options"]["replicaSet"] == "rs0"


def test_the_brokers_accounts_have_the_passwords_of_the_addresses(local: Secrets) -> None:
    users = {user["name"]: user for user in json.loads(local["rabbitmq"]["accounts.json"])["users"]}
    passwords = {name: password(local["rabbitmq"][f"{name}-url"]) for name in users if name != "admin"}

    assert set(passwords) == {"upload", "convert", "janitor", "source"}
    for name, text in {**passwords, "admin": local["rabbitmq"]["admin-password"]}.items():
        stored = base64.b64decode(users[name]["password_hash"])
        assert stored[4:] == hashlib.sha256(stored[:4] + text.encode()).digest()
    assert {name: user["tags"] for name, user in users.items() if user["tags"]} == {"admin": ["administrator"]}
    assert local["rabbitmq-source"] == {
        "uri": "rabbitmq",
        "port": "5672",
        "username": "source",
        "password": passwords["source"],
    }


def test_a_second_run_changes_nothing(local: Secrets, keys: Path) -> None:
    assert wanted(INSIDE, {}, local, keys) == local
    outside = wanted(set(), GIVEN, {}, keys)
    assert wanted(set(), {}, outside, keys) == outside


@pytest.mark.parametrize(
    ("name", "key"), [("mongodb", "notify-url"), ("rabbitmq", "janitor-url"), ("mysql", "auth-url")]
)
def test_what_a_secret_lacks_is_added_and_the_rest_stays(local: Secrets, keys: Path, name: str, key: str) -> None:
    known = local | {name: {part: text for part, text in local[name].items() if part != key}}

    made = wanted(INSIDE, {}, known, keys)

    assert made[name][key] != local[name][key]
    kept = made[name].keys() - {key, "accounts.json"}
    assert {part: made[name][part] for part in kept} == {part: local[name][part] for part in kept}
    if name == "rabbitmq":
        assert made[name]["accounts.json"] != local[name]["accounts.json"]


def test_given_addresses_are_taken_as_they_are_and_a_functions_own_wins(keys: Path) -> None:
    made = wanted(set(), GIVEN | {"MONGO_URL_UPLOAD": "mongodb://up:pw@other/x"}, {}, keys)

    assert made["mysql"] == {"auth-url": GIVEN["MYSQL_URL"], "migrate-url": GIVEN["MYSQL_URL"]}
    assert made["mongodb"].pop("upload-url") == "mongodb://up:pw@other/x"
    assert set(made["mongodb"].values()) == {GIVEN["MONGO_URL"]}
    assert made["smtp"] == {"url": GIVEN["SMTP_URL"]}
    assert "accounts.json" not in made["rabbitmq"]


def test_what_is_not_given_is_named(keys: Path) -> None:
    given = {"MONGO_URL": "mongodb://x/y", "RABBITMQ_URL_UPLOAD": "amqp://x", "RABBITMQ_URL_SOURCE": "amqp://x"}

    with pytest.raises(MissingError) as told:
        wanted(set(), given, {}, keys)

    assert str(told.value).startswith("not set: MYSQL_URL, RABBITMQ_URL_CONVERT, RABBITMQ_URL_JANITOR, SMTP_URL; docs/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqps://us:pw@broker.demo.example/%2F", ("https://broker.demo.example", "5671")),
        ("amqps://us:pw@broker.demo.example:5555/%2F", ("https://broker.demo.example", "5555")),
        ("amqp://us:pw@broker.demo.example", ("broker.demo.example", "5672")),
    ],
)
def test_the_sources_connection_is_what_a_rabbitmqsource_takes(keys: Path, url: str, expected: tuple[str, str]) -> None:
    made = wanted(set(), GIVEN | {"RABBITMQ_URL_SOURCE": url}, {}, keys)["rabbitmq-source"]

    assert (made["uri"], made["port"]) == expected


def test_a_password_that_a_rabbitmqsource_cannot_use_is_refused(keys: Path) -> None:
    with pytest.raises(MissingError, match="RABBITMQ_URL_SOURCE"):
        wanted(set(), GIVEN | {"RABBITMQ_URL_SOURCE": "amqp://us:p%40w@rabbitmq/%2F"}, {}, keys)


def test_token_keys_come_from_their_folder(local: Secrets, keys: Path) -> None:
    assert local["token-signing-key"] == {"private.pem": (keys / "private.pem").read_text()}
    assert local["token-keys"] == {"jwks.json": (keys / "jwks.json").read_text()}
    one = {name: values for name, values in local.items() if name != "token-keys"}
    assert wanted(INSIDE, {}, one, keys) == local


def test_a_second_pair_is_not_made_beside_one_that_the_cluster_has(local: Secrets, tmp_path: Path) -> None:
    known = {name: values for name, values in local.items() if name != "token-keys"}

    with pytest.raises(MissingError, match="KEYS"):
        wanted(INSIDE, {}, known, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


class FakeCluster:
    """Keeps the objects that are applied, by kind and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.applied: list[str] = []

    def get(self, _version: str, kind: str, name: str, _namespace: str | None = None) -> dict[str, Any] | None:
        return self.objects.get((kind, name))

    def apply(self, wanted: dict[str, Any], **_: object) -> dict[str, Any]:
        self.objects[wanted["kind"], wanted["metadata"]["name"]] = wanted
        self.applied.append(wanted["metadata"]["name"])
        return wanted


THINGS = [
    {"kind": "Namespace", "metadata": {"name": "demo"}},
    *(
        {"kind": "StatefulSet", "metadata": {"name": name, "namespace": "demo"}}
        for name in ("mysql", "mongodb", "rabbitmq")
    ),
    {"kind": "Deployment", "metadata": {"name": "inbox", "namespace": "demo"}},
]


def make(cluster: FakeCluster, keys: Path, *rotated: str) -> list[str]:
    """One run; the names of what was written."""
    cluster.applied.clear()
    given: Mapping[str, str] = {"KEYS": str(keys)}
    secrets.make(cluster, THINGS, rotated, given)  # type: ignore[arg-type]
    return sorted(cluster.applied)


def test_a_run_writes_what_the_cluster_lacks_and_no_more(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = FakeCluster()

    assert make(cluster, keys) == sorted(["demo", *NAMES])
    assert cluster.objects["Secret", "mysql"]["metadata"]["namespace"] == "demo"
    assert make(cluster, keys) == []
    del cluster.objects["Secret", "rabbitmq-source"]
    assert make(cluster, keys) == ["rabbitmq-source"]
    shown = capsys.readouterr().out
    values = [
        base64.b64decode(text).decode() for thing in cluster.objects.values() for text in thing.get("data", {}).values()
    ]
    assert not any(value in shown for value in values if len(value) >= 16)


def test_rotating_renews_the_accounts_and_keeps_what_a_server_takes_but_once(keys: Path) -> None:
    cluster = FakeCluster()
    make(cluster, keys)
    before = {name: dict(cluster.objects["Secret", name]["data"]) for name in NAMES}

    assert make(cluster, keys, "mongodb", "rabbitmq") == ["mongodb", "rabbitmq", "rabbitmq-source"]

    after = {name: cluster.objects["Secret", name]["data"] for name in NAMES}
    same = {key for key, text in after["mongodb"].items() if before["mongodb"][key] == text}
    assert same == {"root-password", "keyfile", "migrate-url"}
    assert not {key for key, text in after["rabbitmq"].items() if before["rabbitmq"][key] == text}


def test_wrong_words_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert secrets.main(["nowhere"]) == 2
    assert "there is no overlay nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        secrets.main(["local", "--rotate", "nothing"])
    assert ended.value.code == 2
