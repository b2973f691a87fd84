"""A large upload, and a client that takes minutes to fetch the MP3: NGINX, Kourier, activator, queue-proxy between."""

import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import overlay
from tests.cluster.conftest import Stage
from tests.cluster.site import Site, run
from tests.cluster.test_bodies import FRAME_BYTES, RATE, wav
from tests.e2e.account import Account
from tests.e2e.test_refusals import Sized, post

LENGTH = 600_000_000
SLOW_SECONDS = 200
STEPS = 200
END_SECONDS = 1500


@pytest.fixture
def roomy(cluster: Site, tmp_path: Path) -> Iterator[None]:
    """The product with room for such a body; afterwards it is as it was."""
    overlay.write(tmp_path, cluster.settings, MAX_UPLOAD_BYTES=str(LENGTH))
    run(sys.executable, "-m", "knative.deploy", str(tmp_path))
    yield
    cluster.deploy()


@pytest.mark.usefixtures("roomy")
def test_600_mb_go_in_and_a_client_that_takes_200_s_gets_the_whole_mp3(account: Account, stage: Stage) -> None:
    with stage("600 MB: upload"):
        answer = post(account.url, Sized(LENGTH, wav(LENGTH)), account.token)
    assert (answer.status_code, answer.json()["length"]) == (202, LENGTH)
    with stage("600 MB: conversion"):
        job = account.ended(answer.json()["id"], END_SECONDS)
    assert (job["state"], job["error"]) == ("done", None)
    assert abs(job["result"]["duration"] - LENGTH / RATE / FRAME_BYTES) < 0.1

    digest, length = hashlib.sha256(), job["mp3"]["length"]
    taken = stage(f"{length / 1e6:.0f} MB: a slow client's download")
    with taken, account.call("GET", job["mp3"]["href"], stream=True) as slow:
        for piece in slow.iter_content(length // STEPS + 1):
            digest.update(piece)
            time.sleep(SLOW_SECONDS / STEPS)

    assert digest.hexdigest() == job["mp3"]["sha256"]
