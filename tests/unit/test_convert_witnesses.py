"""The converter's MP3s as programs see them that have no code in common with it (see tests/witnesses.py)."""

import array
import subprocess
from pathlib import Path
from typing import Any

import pytest

from functions.common.options import Options
from functions.convert.child import Result
from tests import media, witnesses
from tests.converting import Conversion


def converted(data: bytes, path: Path, **options: Any) -> Result:
    """The MP3 lies at `path` afterwards."""
    conversion = Conversion(data, options=Options.parse(options).document)
    result = conversion.run()
    path.write_bytes(conversion.mp3)
    return result


def distance(made: array.array, source: array.array, lag: int) -> float:
    """How far apart the two are on average in a stretch in the middle, `made` moved by `lag` samples."""
    middle = len(source) // 2
    pairs = zip(made[middle + lag : middle + lag + 4000], source[middle : middle + 4000], strict=True)
    return sum(abs(a - b) for a, b in pairs) / 4000


def is_in_time(made: array.array, source: array.array) -> bool:
    """Whether each moment of a sweep sounds at the same sample in both: not one earlier or later, nor a frame."""
    lags = (0, -1, 1, -529, 529, -576, 576, -1105, 1105, -1152, 1152)
    return min(lags, key=lambda lag: distance(made, source, lag)) == 0


@pytest.mark.parametrize(
    ("rate", "channels", "options", "mode"),
    [
        (48_000, 2, {}, "encode"),
        (44_100, 2, {"quality": "V9"}, "encode"),
        (32_000, 1, {}, "encode"),
        (22_050, 2, {}, "encode"),
        (8_000, 1, {}, "encode"),
        (44_100, 2, {"quality": "128"}, "encode"),
        (16_000, 1, {"quality": "64"}, "encode"),
        (48_000, 2, {"start": 0.7001, "end": 2.9}, "encode"),
        (48_000, 2, {"loudness": -20}, "encode"),
    ],
    ids=str,
)
def test_all_agree_on_duration_delay_and_frames(
    tmp_path: Path, rate: int, channels: int, options: dict[str, Any], mode: str
) -> None:
    file = tmp_path / "made.mp3"
    data = media.make("wav", seconds=3.3333, rate=rate, channels=channels, sweep=True)

    result = converted(data, file, **options)

    witnesses.agree(file, result)
    assert witnesses.seen_by_ffprobe(file).delay == 576 + 529
    _, source = media.decoded(data)
    first = round(options.get("start", 0) * rate)
    wanted = source[0][first : first + result.samples]
    if "loudness" not in options:
        assert is_in_time(witnesses.samples_by_mpg123(file)[0], wanted)


@pytest.mark.parametrize("kind", ["mp3", "mkv mp3", "avi"])
def test_all_agree_on_what_was_copied(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "made.mp3"
    data = media.make(kind, seconds=3, sweep=True)

    result = converted(data, file)

    assert result.mode == "copy"
    witnesses.agree(file, result)
    played = witnesses.samples_by_mpg123(file)[0]
    source = media.decoded(data)[1][0]
    assert is_in_time(played, source[len(source) - len(played) :] if kind == "avi" else source)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x.mkv", ["-c:s", "srt"]),
        ("x.mkv", ["-c:s", "ass"]),
        ("x.webm", ["-c:s", "webvtt"]),
        ("x.mp4", ["-c:s", "mov_text"]),
        ("x.mov", ["-c:s", "mov_text", "-timecode", "01:00:00:00", "-c:v", "mpeg4"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_subtitles_and_other_tracks_are_passed_over(tmp_path: Path, name: str, words: list[str]) -> None:
    texts, file = tmp_path / "said.srt", tmp_path / "made.mp3"
    texts.write_text("1\n00:00:00,500 --> 00:00:02,000\nHello\n\n")
    picture = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=10:d=3"] if "-timecode" in words else []

    result = converted(made_by_ffmpeg(tmp_path, name, None, "-i", str(texts), *picture, *words), file)

    assert result.duration == pytest.approx(3, abs=0.05)
    witnesses.agree(file, result)


def test_a_copy_counts_no_cut_that_its_tag_cannot_tell(tmp_path: Path) -> None:
    # ffmpeg names fewer samples to be cut off than a decoder adds: players cannot be told, and cut nothing.
    file = tmp_path / "made.mp3"
    data = made_by_ffmpeg(tmp_path, "x.mkv", None, "-c:a", "libmp3lame", "-ar", "22050")

    result = converted(data, file)

    assert result.mode == "copy"
    seen = witnesses.seen_by_ffprobe(file)
    assert (seen.delay, seen.samples) == (0, result.samples)


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("wav", None, 2.5),
        ("wav", 1.00001, None),
        ("wav", 0, 4),
        *((kind, 0.5003, 3.2501) for kind in ("mp4", "webm opus", "flac", "mp3", "ogg", "ts")),
    ],
)
def test_a_cut_begins_and_ends_at_the_sample_that_was_asked_for(
    tmp_path: Path, kind: str, start: float | None, end: float | None
) -> None:
    data, file = media.make(kind, seconds=4, sweep=True), tmp_path / "made.mp3"
    asked = {name: value for name, value in (("start", start), ("end", end)) if value is not None}

    result = converted(data, file, quality="V0", **asked)

    _, source = media.decoded(data)
    wanted = source[0][round((start or 0) * 48_000) : round((end or 4) * 48_000)]
    played = witnesses.samples_by_mpg123(file)[0]
    assert len(played) == result.samples == len(wanted)
    assert is_in_time(played, wanted)


@pytest.mark.parametrize(
    ("kind", "rate", "channels"), [("mkv", 48_000, 2), ("wav", 8_000, 1), ("mp3", 44_100, 2), ("flac", 96_000, 6)]
)
@pytest.mark.parametrize("target", [-14.0, -30.0])
def test_loudness_is_what_was_asked_for(tmp_path: Path, kind: str, rate: int, channels: int, target: float) -> None:
    data, file = media.make(kind, seconds=5, rate=rate, channels=channels), tmp_path / "made.mp3"
    (tmp_path / "source").write_bytes(data)

    result = converted(data, file, loudness=target)

    heard, peak = witnesses.loudness_by_ffmpeg(file)
    assert result.loudness
    assert heard == pytest.approx(target, abs=0.5)
    assert heard == pytest.approx(result.loudness["after"], abs=0.5)
    assert peak < 0
    if channels < 3:  # what is mixed down sounds different beforehand
        before, _ = witnesses.loudness_by_ffmpeg(tmp_path / "source")
        assert before == pytest.approx(result.loudness["before"], abs=0.2)


def made_by_ffmpeg(folder: Path, name: str, picture: str | None, *more: str) -> bytes:
    """Three seconds of a tone in the container that `name` ends in, with labels and a cover of that kind."""
    target = folder / name
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=3"]
    if picture:
        cover = folder / f"cover.{picture}"
        still = ["-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1"]
        subprocess.run(["ffmpeg", "-v", "error", *still, cover], check=True)
        if name.endswith("mkv"):
            command += ["-attach", str(cover), "-metadata:s:t", f"mimetype=image/{picture.replace('jpg', 'jpeg')}"]
        else:
            command += ["-i", str(cover), "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic"]
    labels = ["title=Größe & 日本", "artist=An Artist", "album=The Album"]
    said = [word for label in labels for word in ("-metadata", label)]
    subprocess.run([*command, *more, *said, target], check=True)
    return target.read_bytes()


@pytest.mark.parametrize("picture", ["jpg", "png"])
@pytest.mark.parametrize("name", ["x.m4a", "x.mkv", "x.mp3", "x.flac"])
def test_the_source_s_labels_and_cover_are_kept(tmp_path: Path, name: str, picture: str) -> None:
    file = tmp_path / "made.mp3"

    result = converted(made_by_ffmpeg(tmp_path, name, picture), file)

    assert _labels(file) == ("Größe & 日本", "An Artist", "The Album")
    assert witnesses.cover_by_ffmpeg(file) == (tmp_path / f"cover.{picture}").read_bytes()
    witnesses.agree(file, result)


@pytest.mark.parametrize("name", ["x.ogg", "x.webm", "x.wma", "x.wav"])
def test_labels_come_from_every_container_that_has_them(tmp_path: Path, name: str) -> None:
    file = tmp_path / "made.mp3"

    converted(made_by_ffmpeg(tmp_path, name, None), file)

    assert _labels(file) == ("Größe & 日本", "An Artist", "The Album")


def test_what_a_client_says_replaces_the_labels(tmp_path: Path) -> None:
    file = tmp_path / "made.mp3"

    converted(made_by_ffmpeg(tmp_path, "x.m4a", "png"), file, title="Mine", artist="", cover=False)

    assert _labels(file) == ("Mine", None, "The Album")
    assert {stream["codec_type"] for stream in witnesses.ffprobe(file)["streams"]} == {"audio"}


def _labels(file: Path) -> tuple[str | None, ...]:
    tags = witnesses.ffprobe(file)["format"].get("tags", {})
    return tuple(tags.get(name) for name in ("title", "artist", "album"))
