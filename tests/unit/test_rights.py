"""The rendered document of the broker's accounts: hashes for passwords, and for each account what it needs."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.source_program import FOLDER, load

rights = load("rights")
TRACKED = json.loads((FOLDER / "definitions.json").read_text(encoding="utf-8"))
PASSWORDS = {"upload": "pass-1", "convert": "pass-2", "janitor": "pass-3", "source": "pass-4"}
EXPECTED = {
    "upload": ("^$", "^(video)$", "^$"),
    "convert": ("^$", "^(mp3)$", "^$"),
    "janitor": ("^$", "^(video|mp3|retry|parked)$", r"^(video\.retry|mp3\.retry)$"),
    "source": ("^$", "^$", "^(video|mp3)$"),
}


def render() -> dict[str, Any]:
    made: dict[str, Any] = rights.render(PASSWORDS)
    return made


def program(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(FOLDER / "rights.py"), str(folder)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_each_account_has_its_rights_and_no_others() -> None:
    granted = {right["user"]: (right["configure"], right["write"], right["read"]) for right in render()["permissions"]}

    assert granted == EXPECTED
    assert {right["vhost"] for right in render()["permissions"]} == {"/"}


@pytest.mark.parametrize(
    "near", ["video.retry.x", "xvideo", "videos", "mp3xretry", "retries", "parked.x", "amq.default"]
)
def test_a_right_finds_no_name_that_only_looks_like_one_of_its_own(near: str) -> None:
    for right in render()["permissions"]:
        assert not re.search(right["write"], near)
        assert not re.search(right["read"], near)


def test_every_name_of_a_right_is_in_the_tracked_topology() -> None:
    exchanges = {exchange["name"] for exchange in TRACKED["exchanges"]}
    queues = {queue["name"] for queue in TRACKED["queues"]}

    for account in rights.ACCOUNTS.values():
        assert set(account.write) <= exchanges
        assert set(account.read) <= queues


def test_a_user_has_a_hash_that_fits_its_password_and_no_access_to_the_management() -> None:
    for user in render()["users"]:
        salted = base64.b64decode(user["password_hash"])
        assert salted[4:] == hashlib.sha256(salted[:4] + PASSWORDS[user["name"]].encode()).digest()
        assert user["hashing_algorithm"] == "rabbit_password_hashing_sha256"
        assert user["tags"] == []
    assert [user["name"] for user in render()["users"]] == list(PASSWORDS)


def test_a_hash_is_salted_anew_each_time() -> None:
    hashes = [user["password_hash"] for user in [*render()["users"], *render()["users"]]]

    assert len({base64.b64decode(text)[:4] for text in hashes}) == len(hashes)


@pytest.mark.parametrize("name", sorted(PASSWORDS))
def test_an_account_without_a_password_is_named(name: str) -> None:
    for passwords in ({**PASSWORDS, name: ""}, {other: text for other, text in PASSWORDS.items() if other != name}):
        with pytest.raises(ValueError, match=f"no password for {name}$"):
            rights.render(passwords)


def test_a_password_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="no such account: uplaod"):
        rights.render({**PASSWORDS, "uplaod": "pass-5"})


def test_the_program_reads_a_mounted_secret_and_prints_no_password(tmp_path: Path) -> None:
    for name, text in PASSWORDS.items():
        (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")

    done = program(tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    assert printed["permissions"] == render()["permissions"]
    for user in printed["users"]:
        salted = base64.b64decode(user["password_hash"])
        assert salted[4:] == hashlib.sha256(salted[:4] + PASSWORDS[user["name"]].encode()).digest()
    assert "pass-" not in done.stdout


def test_the_program_says_whose_password_is_missing(tmp_path: Path) -> None:
    (tmp_path / "upload").write_text("pass-1", encoding="utf-8")

    done = program(tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "rights: no password for convert, janitor, source\n"


@pytest.mark.parametrize("queue", TRACKED["queues"], ids=lambda queue: queue["name"])
def test_no_queue_may_drop_a_message_by_itself(queue: dict[str, Any]) -> None:
    arguments = queue["arguments"]

    # docs/decisions/0009: without it RabbitMQ 4 takes 20; -1 means never there and at once on 3.10.
    assert arguments["x-delivery-limit"] == 2**31 - 1
    assert arguments["x-overflow"] == "reject-publish"
    assert not {"x-max-length", "x-max-length-bytes", "x-expires"} & set(arguments)
    if "x-message-ttl" in arguments or "x-dead-letter-exchange" in arguments:
        assert arguments["x-dead-letter-exchange"] in {exchange["name"] for exchange in TRACKED["exchanges"]}
        assert arguments["x-dead-letter-strategy"] == "at-least-once"
