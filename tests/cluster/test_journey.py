"""What a user does, from nothing running to an MP3 and back to nothing; and what works while auth is not there."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests import media
from tests.cluster.conftest import Stage
from tests.cluster.overlay import NAMESPACE
from tests.cluster.site import FUNCTIONS, SERVING, Site
from tests.e2e.account import Account, until


def test_from_zero_pods_to_the_mp3_and_back_to_zero(
    cluster: Site, new_account: Callable[[], Account], stage: Stage, clip: bytes
) -> None:
    with stage("all five functions to zero after the deployment"):
        cluster.await_zero()

    with stage("journey: sign up and log in, auth from zero"):
        account = new_account()
    with stage("journey: log in, auth awake"):
        account.log_in()
    with stage("journey: upload, from zero"):
        job_id = account.upload(clip, "Grüße aus Köln.mp4")
    with stage("journey: conversion and mail, both from zero"):
        (mail,) = account.mails(seconds=300)
    mp3_id = re.search(r"MP3 id: +([0-9a-f]{24})", mail["text"])
    assert mp3_id
    assert not cluster.pods("download")
    with stage("journey: download, from zero"):
        answer = account.call("GET", f"/v1/mp3s/{mp3_id[1]}")

    assert answer.status_code == 200
    rate, (left, right) = media.decoded(answer.content)
    assert abs(len(left) / rate - 5) < 0.1
    assert media.tone_share(left, rate, media.TONES[0]) > 0.9
    assert media.tone_share(right, rate, media.TONES[1]) > 0.9
    assert account.job(job_id)["state"] == "done"
    with stage("journey: all five back to zero"):
        cluster.await_zero()
    assert len(account.inbox()) == 1


@pytest.fixture
def without_auth(cluster: Site) -> Iterator[Callable[[], None]]:
    """Takes auth's Knative Service away when called; afterwards it is there again, as it was."""
    auth = cluster.get(SERVING, "Service", "auth")
    again = {name: auth[name] for name in ("apiVersion", "kind", "spec")}
    again["metadata"] = {name: auth["metadata"][name] for name in ("name", "namespace", "labels")}

    def remove() -> None:
        cluster.api.delete(SERVING, "Service", "auth", NAMESPACE)
        until(lambda: cluster.api.get(SERVING, "Service", "auth", NAMESPACE) is None, 300, "auth is gone")
        cluster.await_zero("auth")

    yield remove
    cluster.api.apply(again, manager="tests")
    until(lambda: cluster.ready("auth"), 300, "auth is ready again")


def test_a_valid_token_needs_no_auth(
    account: Account, clip: bytes, without_auth: Callable[[], None], cluster: Site
) -> None:
    without_auth()

    refused = account.call("POST", "/v1/tokens", json={"email": account.email, "password": "correct horse"})
    job = account.ended(account.upload(clip), 300)
    answer = account.call("GET", job["mp3"]["href"])

    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert refused.headers["Retry-After"]
    assert (answer.status_code, len(answer.content)) == (200, job["mp3"]["length"])
    assert not cluster.pods("auth")


def test_all_five_functions_are_there_and_ready(cluster: Site) -> None:
    for name in FUNCTIONS:
        assert cluster.ready(name), name
