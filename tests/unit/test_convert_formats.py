"""Every kind of file that convert promises becomes an MP3 of the right length, pitch, rate and channels."""

import array
from pathlib import Path

import av
import pytest

from tests import media, witnesses
from tests.converting import Conversion

SOUNDING = [kind for kind in media.KINDS if "silent" not in kind]


def decoded(mp3: bytes) -> tuple[int, list[array.array]]:
    """The MP3's rate and samples, and that it is what it says: a Xing header, gapless as far as that can be known."""
    assert b"Xing" in mp3[:200]
    return media.decoded(mp3)


def share(samples: array.array, rate: int, frequency: float) -> float:
    """How much of one second in the middle is at `frequency`."""
    middle = len(samples) // 2
    return media.tone_share(samples[middle : middle + rate], rate, frequency)


@pytest.mark.parametrize("kind", SOUNDING)
def test_each_container_gives_its_sound(tmp_path: Path, kind: str) -> None:
    conversion, file = Conversion(media.make(kind, seconds=6)), tmp_path / "made.mp3"

    result = conversion.run()

    file.write_bytes(conversion.mp3)
    witnesses.agree(file, result)
    rate, channels = decoded(conversion.mp3)
    assert rate == result.rate == media.KINDS[kind].rate
    assert {len(samples) for samples in channels} == {result.samples}
    assert result.duration == pytest.approx(6, abs=0.1)
    _, source = media.decoded(conversion.data)
    assert len(channels) == len(source) == media.KINDS[kind].channels
    for made, original, tone in zip(channels, source, media.TONES, strict=False):
        assert share(made, rate, tone) == pytest.approx(share(original, rate, tone), abs=0.02)
    assert share(channels[0], rate, media.TONES[0]) > 0.9


@pytest.mark.parametrize(
    ("kind", "source", "made"),
    [
        ("wav", 8_000, 8_000),
        ("mp3", 22_050, 22_050),
        ("mp4", 44_100, 44_100),
        ("flac", 37_800, 44_100),
        ("wav", 88_200, 44_100),
        ("flac", 96_000, 48_000),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_rate_is_kept_up_to_48_khz_and_mono_stays_mono(kind: str, source: int, made: int, channels: int) -> None:
    conversion = Conversion(media.make(kind, seconds=3, rate=source, channels=channels))

    result = conversion.run()

    rate, samples = decoded(conversion.mp3)
    assert rate == result.rate == made
    assert len(samples) == result.channels == channels
    assert len(samples[0]) / rate == pytest.approx(3, abs=0.1)
    assert share(samples[0], rate, media.TONES[0]) > 0.9


@pytest.mark.parametrize(("kind", "channels"), [("mp4", 6), ("mkv", 6), ("flac", 6), ("wav", 8), ("mkv pcm", 8)])
def test_surround_becomes_stereo(kind: str, channels: int) -> None:
    conversion = Conversion(media.make(kind, seconds=3, channels=channels))

    result = conversion.run()

    rate, samples = decoded(conversion.mp3)
    assert result.channels == len(samples) == 2
    assert share(samples[0], rate, media.TONES[0]) > 0.5


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "webm opus", "avi", "ts", "flv", "wmv", "mp4 fragmented"])
@pytest.mark.parametrize("odd", [{"picture_seconds": 16}, {"picture_seconds": 4}, {"begins": 5}, {"pause": 5}], ids=str)
def test_a_sound_that_is_shorter_later_or_interrupted_is_no_damage(kind: str, odd: dict[str, float]) -> None:
    conversion = Conversion(media.make(kind, seconds=8, **{"picture_seconds": 14, **odd}))

    result = conversion.run()

    assert result.duration == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize("samples", [1, 1151, 1152, 1153, 48_001])
def test_the_mp3_decodes_to_as_many_samples_as_the_source_has(samples: int) -> None:
    conversion = Conversion(media.make("wav", seconds=samples / 48_000))

    result = conversion.run()

    assert result.samples == samples
    assert len(media.decoded(conversion.mp3)[1][0]) == samples


def test_of_two_tracks_the_default_one_is_taken() -> None:
    conversion = Conversion(_two_tracks())

    conversion.run()

    rate, (left, _) = decoded(conversion.mp3)
    assert share(left, rate, media.TONES[0]) > 0.9


def _two_tracks() -> bytes:
    other = media.make("wav", seconds=3, channels=1)
    return media.joined("matroska", [_turned(other), media.make("wav", seconds=3)], default=1)


def _turned(wav: bytes) -> bytes:
    # The same tone at half the pitch: half the rate in the header's two fields.
    return wav[:24] + (24_000).to_bytes(4, "little") + (48_000).to_bytes(4, "little") + wav[32:]


def test_samples_beyond_full_scale_or_no_numbers_at_all_do_not_end_the_child() -> None:
    wav = bytearray(media.make("wav float", seconds=2))
    for n, value in enumerate([b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\xff\xff\x7f\x7f", b"\xff\xff\x7f\xff"]):
        wav[200_000 + 4000 * n : 200_400 + 4000 * n] = value * 100  # not a number, infinite, largest, smallest
    conversion = Conversion(bytes(wav))

    result = conversion.run()

    assert result.duration == 2


def test_the_figures_are_those_of_the_conversion() -> None:
    conversion = Conversion(media.make("mkv", seconds=6))

    result = conversion.run()

    assert result.codec == "aac"
    assert result.mode == "encode"
    assert result.bytes_written == len(conversion.mp3)
    assert result.bytes_read == len(conversion.data)
    assert result.bitrate == pytest.approx(8 * len(conversion.mp3) / result.duration, rel=0.01)
    assert 0 < result.cpu_seconds < 60
    assert "head" not in result.figures
    assert conversion.percents == sorted(set(conversion.percents))
    assert conversion.percents[-1] == 100
    assert len(conversion.percents) > 5


def test_libav_agrees_with_the_header_on_length_and_bit_rate(tmp_path: object) -> None:
    conversion = Conversion(media.make("mp4", seconds=6))
    result = conversion.run()
    path = f"{tmp_path}/result.mp3"
    with open(path, "wb") as file:
        file.write(conversion.mp3)

    with av.open(path) as mp3:
        assert mp3.duration / 1e6 == pytest.approx(result.duration, abs=0.05)
        assert mp3.bit_rate == pytest.approx(result.bitrate, rel=0.02)
