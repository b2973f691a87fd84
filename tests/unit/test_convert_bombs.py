"""Small files that stand for far more than they are: each ends with a code, and the next conversion is as ever."""

import struct
from collections.abc import Callable
from contextlib import suppress

import pytest

from functions.convert import child
from functions.convert.errors import MediaError
from tests import boxes, elements, hostile, media
from tests.converting import Conversion, Function, children
from tests.fakes import FakeMongo, FakePublisher

CAP = 300  # seconds of sound, in place of four hours

BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "silence in flac": (lambda: hostile.flac_silence(2 * CAP), "too_long"),
    "one packet many times": (lambda: boxes.one_packet_many_times(2 * CAP), "too_long"),
    "wav at 1 Hz": (lambda: hostile.wav(1), "too_long"),
    "wav at 2^31-1 Hz": (lambda: hostile.wav((1 << 31) - 1), "unsupported"),
    "wav at 2^31 Hz": (lambda: hostile.wav(1 << 31), "corrupt"),
    "wav of 60 000 channels": (lambda: hostile.wav(48_000, 60_000), "no_audio"),
    "index that unpacks to 64 MB": (lambda: boxes.compressed_moov(64 << 20), "no_audio"),
    "index that unpacks to 2 GB": (lambda: boxes.compressed_moov((1 << 31) - 1), "corrupt"),
    "mp4 of a thousand tracks": (lambda: boxes.many_tracks_mp4(1000), "unsupported"),
    "mkv of a thousand tracks": (lambda: elements.matroska(1000, 1000), "unsupported"),
    "mkv that says it lasts 10 h": (lambda: elements.matroska(1, 36e6), "corrupt"),
    "flac that says it lasts 10 h": (lambda: hostile.flac_silence(20, named=36_000), "corrupt"),
}


@pytest.fixture(autouse=True)
def a_low_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MOST_SECONDS", float(CAP))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_a_failed_job_and_the_next_one_is_done(mongo: FakeMongo, publisher: FakePublisher, name: str) -> None:
    make, code = BOMBS[name]
    function = Function(mongo, publisher, conversion_seconds=150)
    job_id = function.queued(make())

    assert function.deliver(job_id) == 200

    job = function.job(job_id)
    assert (job["state"], job["error"]["code"]) == ("failed", code)
    assert mongo.everything() == {"jobs": 1}
    assert children() == []
    next_id = function.queued(media.make("wav", seconds=0.5))
    assert function.deliver(next_id) == 200
    assert function.job(next_id)["result"]["samples"] == 24_000


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (lambda: hostile.behind_tag(10 << 20, media.make("mp3", seconds=1)), 1),
        (lambda: elements.labelled(3_000, 1_000), 1),
        (lambda: elements.labelled(2, 4_000_000), 1),
    ],
    ids=["a tag of 10 MB", "3 000 labels", "labels of 4 MB"],
)
def test_labels_without_measure_are_cut_to_size(data: Callable[[], bytes], seconds: float) -> None:
    conversion = Conversion(data())

    assert conversion.run().duration == pytest.approx(seconds, abs=0.1)
    assert len(conversion.mp3) < 100_000


@pytest.mark.parametrize("kind", ["mp3", "mkv mp3"])
def test_mp3_that_would_be_copied_has_the_same_cap(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(child, "MOST_SECONDS", 3.0)

    with pytest.raises(MediaError, match="too_long"):
        Conversion(media.make(kind, seconds=6)).run()


def test_what_lasts_as_long_as_the_cap_is_not_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MOST_SECONDS", 2.0)

    assert Conversion(media.make("wav", seconds=2)).run().duration == 2


def test_the_bombs_would_be_sound_if_they_were_small() -> None:
    # Or they would be refused for a mistake of whoever made them.
    for data, seconds in (
        (hostile.flac_silence(20), 16.38),
        (boxes.one_packet_many_times(20), 20),
        (hostile.wav(48_000), 1),
        (boxes.many_tracks_mp4(2), 1),
        (elements.matroska(2, 1000), 1),
    ):
        assert Conversion(data).run().duration == pytest.approx(seconds, abs=0.1)


def test_mp3_of_which_more_is_to_be_cut_off_than_there_is_ends_with_a_code() -> None:
    with suppress(MediaError):
        assert Conversion(elements.overcut_mp3()).run().mode == "encode"


@pytest.mark.parametrize("box", [b"mvhd", b"mdhd", b"tkhd"])
def test_an_mp4_that_says_it_lasts_for_ever_lasts_as_long_as_its_sound(box: bytes) -> None:
    data = bytearray(media.make("m4a", seconds=2))
    at = data.index(box) + (24 if box == b"tkhd" else 20)
    data[at : at + 4] = struct.pack(">I", 0xFFFFFFF0)

    assert Conversion(bytes(data)).run().duration == pytest.approx(2, abs=0.1)
