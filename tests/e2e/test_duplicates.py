"""Every event ten times, five at once and five late, under new ids: one conversion, one MP3, one mail."""

from collections.abc import Callable
from typing import Any

import pytest

from local import rabbitmq
from tests import media
from tests.e2e.account import Account, until
from tests.e2e.deliveries import deliver, deliver_at_once, publish
from tests.e2e.outcome import only_one_mail_came, only_one_mp3_is_left
from tests.e2e.stored import Stored

Settled = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def clip() -> bytes:
    """So long that others come while it is being converted."""
    return media.make("wav", seconds=300)


def was_done_once(account: Account, stored: Stored, before: dict[str, int], job: dict[str, Any]) -> None:
    only_one_mp3_is_left(account, stored, before, job)
    only_one_mail_came(account)
    assert {stage: work["attempts"] for stage, work in job["work"].items() if stage != "upload"} == {
        "convert": 1,
        "notify": 1,
    }


def test_ten_calls_of_each_function_do_its_work_once(
    stack: Any,
    another: Callable[[str], str],
    address: Callable[[str], str],
    account: Account,
    stored: Stored,
    settled: Settled,
    clip: bytes,
) -> None:
    before = stored.counts()
    converts = [address("convert"), another("convert")]
    notifies = [address("notify"), another("notify")]
    with stack.away("source-video"), stack.away("source-mp3"):
        job_id = account.upload(clip, "clip.wav")
        assert deliver_at_once([*notifies, *notifies], "mp3", job_id) == [200] * 4  # nothing to tell yet
        assert account.job(job_id)["state"] == "queued"

        at_once = deliver_at_once([*converts, *converts, converts[0]], "video", job_id)
        # 200 is "it is done", of the run that did it and of those who waited for that; 409 sends the event back.
        assert 200 in at_once
        assert set(at_once) <= {200, 409}
        mp3 = account.job(job_id)["mp3"]
        assert deliver_at_once([*converts, *converts, converts[0]], "video", job_id) == [200] * 5

        assert account.inbox() == []
        at_once = deliver_at_once([*notifies, *notifies, notifies[0]], "mp3", job_id)
        assert 200 in at_once
        assert set(at_once) <= {200, 409}
        assert deliver_at_once([*notifies, *notifies, notifies[0]], "mp3", job_id) == [200] * 5

    job = settled(job_id)  # after what the functions themselves announced has come, too
    was_done_once(account, stored, before, job)
    assert account.job(job_id)["mp3"] == mp3


def test_ten_messages_in_each_queue_do_its_work_once(
    stack: Any, account: Account, stored: Stored, settled: Settled, clip: bytes
) -> None:
    before = stored.counts()
    with stack.away("source-video"):
        job_id = account.upload(clip, "clip.wav")
        publish(stack.rabbitmq_url, "video", job_id, 4)
        publish(stack.rabbitmq_url, "mp3", job_id, 5)
        until(lambda: rabbitmq.depths(stack.rabbitmq_url)["mp3"] == 0, 30, "the early mails' events are taken")
    with stack.away("source-mp3"):
        publish(stack.rabbitmq_url, "mp3", job_id, 4)
        mp3 = account.ended(job_id)["mp3"]
    was_done_once(account, stored, before, settled(job_id))

    publish(stack.rabbitmq_url, "video", job_id, 5)
    publish(stack.rabbitmq_url, "mp3", job_id, 5)

    was_done_once(account, stored, before, settled(job_id))
    assert account.job(job_id)["mp3"] == mp3


@pytest.mark.parametrize("queue", ["video", "mp3"])
def test_an_event_of_a_job_that_nobody_knows_is_taken_and_changes_nothing(
    address: Callable[[str], str], stored: Stored, queue: str
) -> None:
    before = stored.counts()

    function = {"video": "convert", "mp3": "notify"}[queue]
    assert deliver(address(function), queue, "00000000-0000-4000-8000-000000000000") == 200

    assert stored.counts() == before
