"""The main road: sign up, upload, wait, mail, download; and that nobody sees what isn't theirs."""

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import media
from tests.e2e.account import PASSWORD, Account
from tests.e2e.stored import Stored


def test_a_video_becomes_an_mp3_in_the_inbox(account: Account, clip: bytes) -> None:
    job_id = account.upload(clip, "Grüße aus Köln.mp4")
    job = account.ended(job_id)
    (mail,) = account.mails()
    mp3_id = re.search(r"MP3 id: +([0-9a-f]{24})", mail["text"])
    assert mp3_id
    answer = account.call("GET", f"/v1/mp3s/{mp3_id[1]}")

    assert (job["state"], job["progress"], job["filename"]) == ("done", 100, "Grüße aus Köln.mp4")
    assert (mail["to"], mail["subject"]) == (account.email, "Your MP3 is ready")
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == job["mp3"]["sha256"] == answer.headers["ETag"].strip('"')
    rate, (left, right) = media.decoded(answer.content)
    assert rate == 48_000
    assert abs(len(left) / rate - 5) < 0.1
    assert media.tone_share(left, rate, media.TONES[0]) > 0.9
    assert media.tone_share(right, rate, media.TONES[1]) > 0.9


def test_the_originals_three_calls_work(account: Account, clip: bytes) -> None:
    token = account.call("POST", "/login", headers={"Authorization": ""}, auth=(account.email, PASSWORD)).text
    bearer = {"Authorization": f"Bearer {token}"}
    job = account.call("POST", "/upload", files={"file": ("clip.mp4", clip)}, headers=bearer).json()
    mp3 = account.ended(job["id"])["mp3"]

    for query in ("id", "fid"):
        answer = account.call("GET", f"/download?{query}={mp3['id']}", headers=bearer)
        assert (answer.status_code, len(answer.content)) == (200, mp3["length"])


def test_a_raw_body_does_as_well_as_a_form(account: Account, clip: bytes) -> None:
    def pieces() -> list[bytes]:
        return [clip[start : start + 10_000] for start in range(0, len(clip), 10_000)]

    sized = account.call("POST", "/v1/jobs?filename=a.mp4", data=clip)
    chunked = account.call("POST", "/v1/jobs?filename=b.mp4", data=iter(pieces()))

    for answer in (sized, chunked):
        assert (answer.status_code, answer.json()["length"]) == (202, len(clip))
        assert account.ended(answer.json()["id"])["state"] == "done"


@pytest.mark.parametrize("kind", ["mov", "mkv", "webm opus", "avi", "ts", "flv", "m4a", "wav", "mp4 moov last"])
def test_the_usual_containers_convert(account: Account, kind: str) -> None:
    job = account.ended(account.upload(media.make(kind, seconds=3), f"clip {kind}"))

    assert (job["state"], job["error"]) == ("done", None)
    assert abs(job["result"]["duration"] - 3) < 0.1


def test_ten_uploads_at_once_from_three_accounts(new_account: Callable[[], Account], clip: bytes) -> None:
    accounts = [new_account() for _ in range(3)]
    owners = [accounts[number % 3] for number in range(10)]
    with ThreadPoolExecutor(10) as pool:
        job_ids = list(pool.map(lambda account: account.upload(clip), owners))

    jobs = [account.ended(job_id, 120) for account, job_id in zip(owners, job_ids, strict=True)]

    assert [job["state"] for job in jobs] == ["done"] * 10
    assert len({job["mp3"]["id"] for job in jobs}) == 10
    for account in accounts:
        mine = {job["id"] for job, owner in zip(jobs, owners, strict=True) if owner is account}
        mails = account.mails(len(mine))
        assert len(mails) == len({mail["message_id"] for mail in mails}) == len(mine)
        assert {job["id"] for job in account.call("GET", "/v1/jobs").json()["jobs"]} == mine
        for job in jobs:
            expected = 200 if job["id"] in mine else 404
            assert account.call("GET", f"/v1/jobs/{job['id']}").status_code == expected
            assert account.call("GET", f"/v1/mp3s/{job['mp3']['id']}").status_code == expected
            if job["id"] not in mine:
                assert account.call("DELETE", f"/v1/jobs/{job['id']}").status_code == 404


def test_an_mp3_comes_in_ranges_through_the_gateway(account: Account, clip: bytes) -> None:
    mp3 = account.ended(account.upload(clip))["mp3"]
    whole = account.call("GET", mp3["href"]).content

    last = account.call("GET", mp3["href"], headers={"Range": "bytes=-1000"})
    same = account.call("GET", mp3["href"], headers={"If-None-Match": f'"{mp3["sha256"]}"'})
    head = account.call("HEAD", mp3["href"])

    assert (last.status_code, last.content) == (206, whole[-1000:])
    assert (same.status_code, same.content) == (304, b"")
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(whole)), b"")


def test_a_finished_job_can_be_removed_and_leaves_no_file(account: Account, clip: bytes, stored: Stored) -> None:
    before = stored.counts()
    job = account.ended(account.upload(clip))
    account.mails()

    assert account.call("DELETE", f"/v1/jobs/{job['id']}").status_code == 204

    gone = account.call("GET", job["mp3"]["href"])
    assert (gone.status_code, gone.json()["code"]) == (410, "expired")
    assert account.job(job["id"])["state"] == "expired"
    stored.settles(before | {"jobs": before["jobs"] + 1})


def test_a_running_conversion_can_be_cancelled_and_leaves_nothing(account: Account, stored: Stored) -> None:
    before = stored.counts()
    job_id = account.upload(media.make("wav", seconds=1200))
    while account.job(job_id)["state"] == "queued":
        pass

    assert account.call("DELETE", f"/v1/jobs/{job_id}").status_code == 204

    assert account.job(job_id)["state"] == "cancelled"
    stored.settles(before | {"jobs": before["jobs"] + 1})
    assert account.inbox() == []
