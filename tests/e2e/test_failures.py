"""Videos that cannot become MP3s: the job says why, the owner is told, and no file is left."""

import random

import pytest

from tests import media
from tests.e2e.account import Account
from tests.e2e.stored import Stored


def damaged(data: bytes) -> bytes:
    """The same file with noise in its middle third."""
    third = len(data) // 3
    return data[:third] + random.Random(1).randbytes(third) + data[2 * third :]


CASES = {
    "no sound": (lambda: media.make("mp4 silent picture", seconds=3), "no_audio"),
    "cut at 60 %": (lambda: cut(media.make("mp4", seconds=5), 0.6), "corrupt"),
    "cut, index last": (lambda: cut(media.make("mp4 moov last", seconds=5), 0.6), "corrupt"),
    "cut mkv": (lambda: cut(media.make("mkv", seconds=5), 0.6), "corrupt"),
    "damaged": (lambda: damaged(media.make("mp4", seconds=5)), "corrupt"),
    "only a head": (lambda: b"\x00\x00\x00\x18ftypisom" + b"\x00" * 100_000, "corrupt"),
}


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


@pytest.mark.parametrize("case", list(CASES))
def test_the_job_stays_failed_with_its_code_and_a_mail(account: Account, stored: Stored, case: str) -> None:
    make, code = CASES[case]
    before = stored.counts()

    job = account.ended(account.upload(make()))
    (mail,) = account.mails()

    assert (job["state"], job["error"]["code"], job["mp3"]) == ("failed", code, None)
    assert mail["subject"] == "Your video could not be converted"
    assert job["error"]["detail"] in mail["text"].replace("\n", " ")
    assert code in mail["text"]
    stored.settles(before | {"jobs": before["jobs"] + 1})
    assert account.job(job["id"])["state"] == "failed"
