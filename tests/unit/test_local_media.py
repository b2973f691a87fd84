"""The demo's sample, and the durations that the demo compares."""

from pathlib import Path

import pytest

from local import demo, media
from local.journey import JourneyError


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    media.make_sample(path)
    return path


def test_the_sample_is_ten_seconds_of_picture_and_sound(sample: Path) -> None:
    assert abs(media.sound_seconds(sample) - 10) < 0.05
    assert abs(media.decoded_seconds(sample) - 10) < 0.05
    with media.av.open(str(sample)) as opened:
        assert [stream.type for stream in opened.streams] == ["video", "audio"]


def test_an_mp3_that_is_shorter_than_the_video_is_no_success(sample: Path, tmp_path: Path) -> None:
    with media.av.open(str(tmp_path / "short.mp3"), "w") as out:
        stream = out.add_stream("libmp3lame", rate=media.RATE)
        stream.layout = "mono"
        for frame in list(media._sounds())[:400]:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    with pytest.raises(JourneyError, match=r"decodes to 8\.\d+ s"):
        demo.compare(sample, tmp_path / "short.mp3")


def test_what_is_no_media_has_no_sound(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no media\n")

    for measure in (media.sound_seconds, media.decoded_seconds):
        with pytest.raises(media.NoSoundError, match=r"text\.mp4"):
            measure(tmp_path / "text.mp4")
