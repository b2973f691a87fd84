"""Pods that go in the middle of work, as they do when nodes are drained: every job is done, and told once."""

from typing import Any

import pytest

from tests import media
from tests.cluster.conftest import Stage
from tests.cluster.site import Site
from tests.e2e.account import Account, until

END_SECONDS = 900


@pytest.fixture(scope="module")
def long_clip() -> bytes:
    """So long that there is time to do something while it is converted."""
    return media.make("flac", seconds=3000)


@pytest.fixture
def converting(cluster: Site, account: Account, long_clip: bytes, records: Any) -> str:
    """A job whose conversion has just begun. Its record tells: who asks download may first have to wake it, on cores
    that the conversion has taken."""
    job_id = account.upload(long_clip, "long.flac")

    def begun() -> Any:
        job = records.find_one({"_id": job_id})
        return job if job["progress"] else None

    try:
        job = until(begun, 300, "some progress")
    except AssertionError as error:
        found, pods = records.find_one({"_id": job_id}), [pod["status"]["phase"] for pod in cluster.pods("convert")]
        raise AssertionError(f"{error}: queues {cluster.depths()}, convert's pods {pods}, job {found}") from None
    assert job["state"] == "converting", f"over before it was seen to have begun: {job}"
    return job_id


def test_a_source_pod_that_goes_during_a_conversion_costs_nothing(
    cluster: Site, account: Account, converting: str, records: Any, stage: Stage
) -> None:
    # Its SIGTERM rejects what it holds: the message takes the way through the delay queue, the run goes on.
    gone = cluster.delete_pods(cluster.source_pods("video"))

    assert len(gone) == 1
    with stage("source's pod deleted: until the job's end"):
        job = account.ended(converting, END_SECONDS)
    assert (job["state"], job["error"]) == ("done", None)
    assert len(account.mails(seconds=END_SECONDS)) == 1
    # The message that comes back finds nothing left to do.
    until(lambda: not any(cluster.depths().values()), END_SECONDS, "all queues are empty")
    assert records.find_one({"_id": converting})["work"]["convert"]["attempts"] == 1
    assert len(account.inbox()) == 1


def test_a_convert_pod_that_goes_finishes_or_hands_the_job_back(
    cluster: Site, account: Account, converting: str, records: Any, stage: Stage
) -> None:
    gone = cluster.delete_pods(cluster.pods("convert"))

    assert gone
    with stage("convert's pod deleted: until the job's end"):
        job = account.ended(converting, END_SECONDS)
    assert (job["state"], job["error"]) == ("done", None)
    # Either way no attempt is used up but that which succeeded.
    assert records.find_one({"_id": converting})["work"]["convert"]["attempts"] == 1
    assert len(account.mails(seconds=END_SECONDS)) == 1
    until(lambda: not any(cluster.depths().values()), END_SECONDS, "all queues are empty")
    assert len(account.inbox()) == 1
