"""What a client may ask of a conversion, each option seen in the MP3 by somebody else's eyes."""

import array
import io
import math
import wave as wave_module
from typing import Any

import av
import pytest
from mutagen.id3 import ID3

from functions.common.options import MOST_CHARACTERS, OptionError, Options
from functions.convert.errors import MediaError
from tests import media
from tests.converting import Conversion


def converted(data: bytes, **options: Any) -> tuple[Conversion, Any]:
    conversion = Conversion(data, options=Options.parse(options).document)
    return conversion, conversion.run()


def bit_rate(conversion: Conversion, seconds: float) -> float:
    return 8 * len(conversion.mp3) / seconds


def test_a_start_behind_the_end_of_the_sound_is_told() -> None:
    with pytest.raises(MediaError, match="nothing_left"):
        converted(media.make("mp4", seconds=6), start=7)


@pytest.mark.parametrize(("quality", "kbits"), [("64", 64), ("128", 128), ("320", 320)])
def test_a_constant_bit_rate_is_what_was_asked_for(quality: str, kbits: int) -> None:
    conversion, result = converted(media.make("wav", seconds=6), quality=quality)

    assert result.mode == "encode"
    assert bit_rate(conversion, 6) == pytest.approx(1000 * kbits, rel=0.03)


def test_a_better_quality_takes_more_bytes() -> None:
    data = media.make("flac", seconds=6)

    lengths = [len(converted(data, quality=quality)[0].mp3) for quality in ("V0", "V4", "V9")]

    assert lengths == sorted(lengths, reverse=True)


def test_no_bit_rate_is_above_the_sources() -> None:
    data = media.make("mp4", seconds=6)  # AAC at 128 kbit/s
    with av.open(io.BytesIO(data)) as source:
        most = source.streams.audio[0].codec_context.bit_rate

    for quality in ("320", "V0"):
        conversion, _ = converted(data, quality=quality)
        assert bit_rate(conversion, 6) <= 1.1 * max(most, 64_000)


@pytest.mark.parametrize("kind", ["mp3", "mkv mp3", "avi", "mp4"])
def test_mp3_in_the_source_is_taken_over_as_it_is(kind: str) -> None:
    conversion, result = converted(media.make(kind, seconds=6))

    assert result.mode == ("encode" if kind == "mp4" else "copy")
    if result.mode == "copy":
        _, source = media.decoded(conversion.data)
        _, copy = media.decoded(conversion.mp3)
        assert copy == source
        assert result.samples == len(copy[0])


def test_mp3_that_must_change_is_encoded() -> None:
    _, result = converted(media.make("mp3", seconds=6), quality="V5")

    assert result.mode == "encode"


def test_mp3_whose_frames_differ_is_encoded_after_all() -> None:
    mono, stereo = (media.make("mp3", seconds=3, channels=channels) for channels in (1, 2))

    conversion, result = converted(stereo + mono)

    assert result.mode == "encode"
    assert result.samples == len(media.decoded(conversion.mp3)[1][0]) > 5 * 48_000


def test_what_would_be_too_loud_is_limited() -> None:
    tone = [round(300 * math.sin(n / 10)) for n in range(6 * 48_000)]
    tone[100_000] = 32_000  # a click

    conversion, result = converted(wave(array.array("h", (value for value in tone for _ in range(2)))), loudness=-14)

    _, channels = media.decoded(conversion.mp3)
    assert result.loudness["limited"] is True
    assert max(map(max, channels)) < 1.0


def test_silence_stays_silence() -> None:
    _, result = converted(wave(array.array("h", bytes(4 * 48_000))), loudness=-14)

    assert (result.loudness["before"], result.loudness["gain"], result.loudness["limited"]) == (None, 0.0, False)


def wave(samples: array.array) -> bytes:
    """Stereo at 48 kHz, 16 bits."""
    made = io.BytesIO()
    with wave_module.open(made, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(samples.tobytes())
    return made.getvalue()


def labelled(**metadata: str) -> bytes:
    """An MP4 that says so of itself, with a cover."""
    source, made = av.open(io.BytesIO(media.make("m4a", seconds=3))), io.BytesIO()
    with source, av.open(made, "w", format="mp4") as out:
        out.metadata.update(metadata)
        sound = out.add_stream_from_template(source.streams.audio[0])
        cover = out.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame(16, 16, "yuvj420p")
        picture.pts = 0
        for packet in [*cover.encode(picture), *cover.encode(None)]:
            out.mux(packet)
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = sound
                out.mux(packet)
    return made.getvalue()


def test_the_sources_own_title_and_cover_are_kept() -> None:
    conversion, _ = converted(labelled(title="A day", artist="Somebody", album="All days"))

    tag = ID3(io.BytesIO(conversion.mp3))
    assert (tag["TIT2"].text, tag["TPE1"].text, tag["TALB"].text) == (["A day"], ["Somebody"], ["All days"])
    assert tag.version == (2, 4, 0)
    (cover,) = tag.getall("APIC")
    assert cover.mime == "image/jpeg"
    assert cover.data.startswith(b"\xff\xd8\xff")
    assert len(media.decoded(conversion.mp3)[1][0]) > 2.9 * 48_000


def test_a_source_that_says_nothing_gets_no_tag() -> None:
    conversion, _ = converted(media.make("ts", seconds=3))

    assert not conversion.mp3.startswith(b"ID3")


@pytest.mark.parametrize(
    ("track", "seconds"), [("deu", 3), ("de", 3), ("eng", 5), ("en", 5), ("1", 3), ("2", 5), (None, 3)]
)
def test_a_track_is_found_by_the_language_that_the_file_names(track: str | None, seconds: int) -> None:
    sources = [media.make("m4a", seconds=length) for length in (3, 5)]
    data = media.joined("matroska", sources, default=0, languages=["deu", "eng"])

    _, result = converted(data, **({"track": track} if track else {}))

    assert result.duration == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("track", ["3", "fra"])
def test_a_track_that_is_not_there_is_told(track: str) -> None:
    data = media.joined("mp4", [media.make("m4a", seconds=3)] * 2, default=0)

    with pytest.raises(MediaError, match="no_such_track"):
        converted(data, track=track)


@pytest.mark.parametrize(
    "given",
    [
        {"quality": "V10"},
        {"quality": "100"},
        {"quality": ""},
        {"start": "-1"},
        {"start": "nan"},
        {"start": "soon"},
        {"start": True},
        {"start": 10**400},
        {"end": "inf"},
        {"start": "5", "end": "5"},
        {"end": "0"},
        {"loudness": "0"},
        {"track": "0"},
        {"track": "../1"},
        {"title": "x" * (MOST_CHARACTERS + 1)},
        {"title": "two\nlines"},
        {"title": 7},
        {"cover": "perhaps"},
    ],
    ids=str,
)
def test_what_is_no_option_is_refused_by_its_name(given: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="`(" + "|".join([*given, "end"]) + ")`"):
        Options.parse(given)


def test_options_survive_the_job_record() -> None:
    options = Options.parse({"quality": "v0", "start": "1.5", "cover": "no", "track": "DEU", "unknown": "x"})

    assert Options(**options.document) == options == Options(quality="V0", start=1.5, cover=False, track="deu")
