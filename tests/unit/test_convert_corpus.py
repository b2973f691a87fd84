"""The honest files, all of them: enough containers and codecs, and for each the same MP3 however it is encoded."""

import io
from concurrent.futures import ThreadPoolExecutor

import av
import pytest

from functions.convert.encoding import Blockwise
from functions.convert.lame import Setting
from functions.convert.media import Sound
from tests import media
from tests.converting import Conversion

SOUNDING = [kind for kind in media.KINDS if "silent" not in kind]
POOL = ThreadPoolExecutor(2)
WHOLE = 1 << 30  # frames
ODD = {
    "begins before zero, mp4": lambda: media.make("m4a", seconds=6, begins=-0.5),
    "begins before zero, mkv": lambda: media.make("mkv", seconds=6, begins=-0.5),
    "begins late, mp4": lambda: media.make("mp4", seconds=6, begins=2),
    "8 kHz": lambda: media.make("wav", seconds=6, rate=8_000),
    "8 channels": lambda: media.make("flac", seconds=6, channels=8),
    "rate changes, ts": lambda: media.make("ts", seconds=3) + media.make("ts", seconds=3, rate=44_100, begins=3),
    "rate changes, adts": lambda: media.make("aac", seconds=3) + media.make("aac", seconds=3, rate=24_000),
    "channels change, adts": lambda: media.make("aac", seconds=3, channels=1) + media.make("aac", seconds=3),
    "two tracks": lambda: media.joined("matroska", [media.make("m4a", seconds=6)] * 2, default=1),
}


def honest(name: str) -> bytes:
    """The bytes of one of ODD, or of a kind."""
    return ODD[name]() if name in ODD else media.make(name, seconds=6)


def test_there_are_twelve_containers_and_fifteen_codecs() -> None:
    containers, codecs = set(), set()
    for kind in SOUNDING:
        with av.open(io.BytesIO(media.make(kind, seconds=6))) as source:
            containers.add(source.format.name)
            codecs.add(source.streams.audio[0].codec_context.codec.canonical_name)

    assert len(containers) >= 12  # by libav's count, to which MP4, MOV, M4A and 3GP are one, and Matroska and WebM
    assert len(codecs) >= 15


@pytest.mark.parametrize("name", [*SOUNDING, *ODD])
def test_blocks_on_threads_are_one_encoder_s_samples_and_none_is_lost(name: str) -> None:
    data = honest(name)
    with Sound(io.BytesIO(data), len(data)) as sound:
        frames, setting = list(sound.frames()), Setting(sound.rate, sound.channels)
    made = []

    for threads, block_frames in ((2, 65), (1, WHOLE)):
        making = Blockwise(frames, setting, POOL, threads, block_frames=block_frames)
        mp3 = bytearray(b"".join(making.pieces()))
        head = making.head()
        mp3[: len(head)] = head
        made.append(media.decoded(bytes(mp3)))

    assert made[0] == made[1]
    assert {len(samples) for samples in made[0][1]} == {sum(frame.samples for frame in frames)}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_one_converts_in_its_whole_length(name: str) -> None:
    conversion = Conversion(honest(name))

    result = conversion.run()

    rate, channels = media.decoded(conversion.mp3)
    with av.open(io.BytesIO(conversion.data)) as source:
        seconds = sum(frame.samples / frame.sample_rate for frame in source.decode(audio=0))
    assert {len(samples) for samples in channels} == {result.samples}
    assert result.duration == pytest.approx(seconds, abs=0.05)
    middle = len(channels[0]) // 4
    assert media.tone_share(channels[0][middle : middle + rate], rate, media.TONES[0]) > 0.7
