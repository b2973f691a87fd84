"""A source that is cut off or damaged fails with its code; a short MP3 never passes for a whole one."""

import io
import random
from contextlib import suppress

import pytest

from functions.convert import wholeness
from functions.convert.errors import MediaError
from functions.convert.media import Sound
from tests import media
from tests.converting import Conversion

# Raw ADTS and AMR, MPEG program streams and live recordings name no end: where they stop is where they end.
ENDLESS = {"aac", "amr", "mpeg", "mkv live"}
SOUNDING = [kind for kind in media.KINDS if "silent" not in kind]
CUTTABLE = [kind for kind in SOUNDING if kind not in ENDLESS]
# Uncompressed sound has nothing in it that damage could contradict, unless a container's own marks lie in between; nor
# have codecs to which any bytes mean something.
SURE = {"mov", "wav", "wav float", "wav telephone", "wav adpcm", "w64", "mp4 opus", "3gp amr", "amr"}
CHECKABLE = [kind for kind in SOUNDING if kind not in SURE]


def outcome(data: bytes) -> str:
    """The code that the data fails with, or `whole`."""
    try:
        with Sound(io.BytesIO(data), len(data)) as sound:
            for _ in sound.frames():
                pass
    except MediaError as error:
        return error.code
    return "whole"


def damaged(data: bytes, start: float, share: float, seed: int | None) -> bytes:
    """`data` with a stretch of zeros in it, or of noise with a `seed`."""
    first, count = int(start * len(data)), int(share * len(data))
    filling = bytes(count) if seed is None else random.Random(seed).randbytes(count)
    return data[:first] + filling + data[first + count :]


@pytest.mark.parametrize("kind", SOUNDING)
def test_a_whole_file_is_whole(kind: str) -> None:
    assert outcome(media.make(kind)) == "whole"


@pytest.mark.parametrize("kind", CUTTABLE)
@pytest.mark.parametrize("percent", [1, 10, 25, 50, 75, 90])
def test_a_file_that_was_cut_off_is_corrupt(kind: str, percent: int) -> None:
    data = media.make(kind)
    end = len(data) * percent // 100 | 1  # MPEG-TS packets have an even length: none ends here

    assert outcome(data[:end]) == "corrupt"


@pytest.mark.parametrize("kind", CHECKABLE)
@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("start", [0.3, 0.6])
def test_a_file_that_is_damaged_in_the_middle_is_corrupt(kind: str, seed: int | None, start: float) -> None:
    assert outcome(damaged(media.make(kind), start, 0.2, seed)) == "corrupt"


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm opus", "avi", "ts", "flv", "mp3", "aac", "m4a"])
def test_a_scratch_is_no_reason_to_refuse_the_rest(kind: str) -> None:
    assert outcome(damaged(media.make(kind), 0.5, 0.002, 3)) == "whole"


@pytest.mark.parametrize("kind", ["mp4 silent picture", "mkv silent picture"])
def test_a_picture_without_sound_has_no_audio(kind: str) -> None:
    assert outcome(media.make(kind)) == "no_audio"


def test_a_sound_in_which_nothing_decodes_is_corrupt() -> None:
    data = media.make("m4a", seconds=0.5)
    start = data.index(b"mdat") + 4
    moov = data.index(b"moov")

    assert outcome(data[:start] + bytes(moov - 4 - start) + data[moov - 4 :]) == "corrupt"


@pytest.mark.parametrize(
    "data", [b"", b"x", b"hello " * 1000, random.Random(7).randbytes(100_000), b"\x89PNG\r\n\x1a\n" + bytes(1000)]
)
def test_what_is_no_media_at_all_is_unsupported(data: bytes) -> None:
    assert outcome(data) == "unsupported"


@pytest.mark.parametrize("seed", range(20))
def test_noise_anywhere_ends_in_a_code_or_an_mp3_and_never_ends_the_child(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(media.make(chance.choice(SOUNDING), seconds=3))
    for _ in range(chance.choice([1, 10, 200])):
        data[chance.randrange(len(data))] = chance.randrange(256)

    with suppress(MediaError):
        Conversion(bytes(data)).run()


@pytest.mark.parametrize("change", ["cut", "zeros"])
@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm opus", "avi", "ts", "mp4 fragmented"])
def test_the_child_tells_the_parent_so(kind: str, change: str) -> None:
    data = media.make(kind)
    data = data[: len(data) // 2] if change == "cut" else damaged(data, 0.4, 0.2, None)

    with pytest.raises(MediaError, match="corrupt"):
        Conversion(data).run()


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm opus", "ts", "flac", "mp3", "ogg"])
def test_damage_before_the_end_that_was_asked_for_counts_and_what_lies_behind_does_not(kind: str) -> None:
    data = damaged(media.make(kind), 0.3, 0.2, 1)

    with pytest.raises(MediaError, match="corrupt"):
        Conversion(data, options={"end": 15.0}).run()
    assert Conversion(data, options={"end": 3.0}).run().duration == 3


def test_the_child_tells_that_there_is_no_sound() -> None:
    with pytest.raises(MediaError, match="no_audio"):
        Conversion(media.make("mp4 silent picture")).run()


@pytest.mark.parametrize("trailer", [bytes(5000), random.Random(1).randbytes(5000), b"\0\0\x10\0sefd" + bytes(100)])
def test_what_a_camera_appends_behind_a_plain_mp4_is_no_damage(trailer: bytes) -> None:
    assert outcome(media.make("mp4") + trailer) == "whole"


def test_a_file_of_nothing_but_boxes_is_not_walked_for_ever() -> None:
    reads = []

    def read_at(offset: int, count: int) -> bytes:
        reads.append(offset)
        return b"\0\0\0\x08free\0\0\0\x08free"

    assert not wholeness.is_cut_off(read_at, 1 << 40, "mov,mp4,m4a,3gp,3g2,mj2")
    assert len(reads) <= 100_000
