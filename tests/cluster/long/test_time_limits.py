"""Conversions that take long because convert has a tenth of a core: one longer than Knative allows a call unless told
otherwise (300 s), which is done, and one longer than a conversion may take (480 s), which ends and is told.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import media
from tests.cluster.conftest import Stage
from tests.cluster.site import Site
from tests.e2e.account import Account, until

CORES = 0.1
KNATIVES_SECONDS = 300  # responseStartTimeoutSeconds, had the manifest none
LONG, TOO_LONG = 36, 72  # seconds of a whole core: 360 and 720 s of a tenth, of which a conversion may take 480
SAMPLE_SECONDS = 600
END_SECONDS = 900


@pytest.fixture
def core_share(new_account: Callable[[], Account]) -> float:
    """How many seconds of a core one second of sound takes here."""
    account = new_account()
    job = account.ended(account.upload(media.make("flac", seconds=SAMPLE_SECONDS), "sample.flac"), END_SECONDS)
    assert job["state"] == "done"
    account.mails(seconds=END_SECONDS)
    return float(job["result"]["cpu_seconds"]) / SAMPLE_SECONDS


@pytest.fixture
def starved(cluster: Site, core_share: float) -> Iterator[float]:
    """convert with little of a core; afterwards it is as it was."""
    cluster.limit_cores("convert", CORES)
    yield core_share
    cluster.deploy()


def test_a_conversion_may_take_as_long_as_its_own_limit_says_and_no_longer(
    cluster: Site, new_account: Callable[[], Account], starved: float, records: Any, stage: Stage
) -> None:
    patient, hopeless = new_account(), new_account()
    too_long = hopeless.upload(media.make("flac", seconds=round(TOO_LONG / starved)), "too long.flac")
    long = patient.upload(media.make("flac", seconds=round(LONG / starved)), "long.flac")

    with stage("a tenth of a core: until the long conversion is done"):
        done = patient.ended(long, END_SECONDS)
    with stage("a tenth of a core: from there until the other is given up"):
        failed = hopeless.ended(too_long, END_SECONDS)

    assert (done["state"], done["error"]) == ("done", None)
    assert done["result"]["cpu_seconds"] > KNATIVES_SECONDS * CORES, "it was too short to show anything"
    assert (failed["state"], failed["error"]["code"], failed["mp3"]) == ("failed", "time_limit", None)
    for account, words in ((patient, "MP3 id: "), (hopeless, failed["error"]["detail"])):
        (mail,) = account.mails(seconds=END_SECONDS)
        assert words in re.sub(r"\s+", " ", mail["text"])
    # Each was called once, and what is left of the failed one is its record.
    until(lambda: not any(cluster.depths().values()), END_SECONDS, "all queues are empty")
    for job_id in (long, too_long):
        assert records.find_one({"_id": job_id})["work"]["convert"]["attempts"] == 1
    until(lambda: not records.find_one({"_id": too_long}).get("litter"), END_SECONDS, "the failed job's files are gone")
