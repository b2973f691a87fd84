"""The honest files, all of them: enough containers and codecs, and for each the same MP3 however it is encoded."""

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import pytest

from functions.common.options import Options
from functions.convert import conversion
from functions.convert.encoding import Blockwise
from functions.convert.errors import NotCopyable
from functions.convert.labels import are_texts
from functions.convert.media import Sound
from tests import boxes, media, witnesses
from tests.converting import Conversion

# What of these containers holds each of these codecs, so that it can be read back: libav's muxers, by their names.
PAIRS = {
    "aac": "mp4 mov 3gp ipod matroska avi mpegts flv asf adts",
    "ac3": "mp4 mov ipod matroska avi mpegts mpeg flv asf wav w64",
    "adpcm_ima_wav": "avi asf wav w64",
    "adpcm_ms": "avi asf wav w64",
    "adpcm_swf": "avi flv asf",
    "adpcm_yamaha": "avi asf wav w64",
    "alac": "mp4 mov ipod matroska",
    "eac3": "mp4 mov matroska avi mpegts flv asf wav w64",
    "flac": "mp4 matroska avi flv asf ogg wav w64 flac",
    "g722": "avi asf wav w64",
    "g726": "avi asf wav w64",
    "libmp3lame": "mp4 mov matroska avi mpegts mpeg flv asf wav w64 mp3",
    "libopencore_amrnb": "mov 3gp avi asf wav amr",
    "libopus": "mp4 matroska webm mpegts flv ogg",
    "mp2": "mp4 mov matroska avi mpegts mpeg asf wav w64",
    "nellymoser": "mov flv",
    "pcm_alaw": "mov avi asf wav w64",
    "pcm_f32le": "mp4 mov matroska avi asf wav w64",
    "pcm_mulaw": "mov avi asf wav w64",
    "pcm_s16be": "mp4 mov matroska mpeg",
    "pcm_s16le": "mp4 mov matroska avi asf wav w64",
    "pcm_s24le": "mp4 mov matroska avi asf wav w64",
    "tta": "matroska",
    "vorbis": "mp4 matroska webm avi asf ogg",
    "wavpack": "matroska",
    "wmav1": "avi asf wav w64",
    "wmav2": "avi asf wav w64",
}
ONE_RATE = {
    "adpcm_swf": (44_100, 2),
    "g722": (16_000, 1),
    "g726": (8_000, 1),
    "libopencore_amrnb": (8_000, 1),
    "nellymoser": (44_100, 1),
}
SOUNDING = [kind for kind in media.KINDS if "silent" not in kind]
POOL = ThreadPoolExecutor(2)
WHOLE = 1 << 30  # frames


def edited(*parts: tuple[int, int]) -> bytes:
    """An MP4 of which, says its edit list, so much is to be played: from and to, in seconds."""
    entries = [struct.pack(">IIHH", 1000 * (end - start), 1024 + 48_000 * start, 1, 0) for start, end in parts]
    edits = boxes.box(b"elst", struct.pack(">II", 0, len(parts)) + b"".join(entries))
    return boxes.with_boxes(media.make("m4a", seconds=6), {b"edts": edits})


def our_own() -> bytes:
    """An MP3 with a variable bit rate and a tag: one of ours."""
    conversion = Conversion(media.make("wav", seconds=6), options={"title": "once more"})
    conversion.run()
    return conversion.mp3


ODD = {
    "edit list of one part": lambda: edited((1, 3)),
    "edit list of parts in another order": lambda: edited((4, 6), (1, 2)),
    "variable bit rate": our_own,
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


class Outlet:
    """Takes the MP3."""

    def __init__(self) -> None:
        self.made = bytearray()

    def labels(self, texts: dict[str, str], cover: bytes | None) -> None:
        assert are_texts(texts)

    def mp3(self, data: bytes) -> None:
        self.made += data

    def percent(self, percent: int) -> None:
        assert 0 <= percent <= 100


def converted_here(data: bytes, *, may_copy: bool) -> tuple[bytes, dict[str, Any]]:
    """The MP3 and the figures."""
    outlet = Outlet()
    job = conversion.Job(len(data), 1 << 16, may_copy=may_copy)
    frame, figures = conversion.convert(io.BytesIO(data), job, outlet, POOL)
    return frame + bytes(outlet.made[len(frame) :]), figures


@pytest.mark.parametrize(
    ("codec", "container"), [(codec, container) for codec, held in PAIRS.items() for container in held.split()]
)
def test_every_codec_converts_out_of_every_container(codec: str, container: str) -> None:
    rate, channels = ONE_RATE.get(codec, (48_000, 2))
    data = media.made(media.Kind(container, codec, None), seconds=2, rate=rate, channels=channels)

    # In this process: what the cage adds is the same for all, and the kinds of tests/media.py go through it.
    try:
        mp3, figures = converted_here(data, may_copy=True)
    except NotCopyable:
        mp3, figures = converted_here(data, may_copy=False)

    found, samples = media.decoded(mp3)
    assert (found, len(samples), len(samples[0])) == (rate, channels, figures["samples"])
    assert figures["samples"] / rate == pytest.approx(2, abs=0.1)
    assert media.tone_share(samples[0][rate // 2 : rate], rate, media.TONES[0]) > 0.9


@pytest.mark.parametrize("name", [*SOUNDING, *ODD])
def test_blocks_on_threads_are_one_encoder_s_samples_and_none_is_lost(name: str) -> None:
    data = honest(name)
    with Sound(io.BytesIO(data), len(data)) as sound:
        frames = list(sound.frames())
        setting = conversion._setting(sound, Options())  # with the cap that the source gives
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
def test_an_odd_one_converts_in_its_whole_length(tmp_path: Path, name: str) -> None:
    conversion, file = Conversion(honest(name)), tmp_path / "made.mp3"

    result = conversion.run()

    file.write_bytes(conversion.mp3)
    witnesses.agree(file, result)
    rate, channels = media.decoded(conversion.mp3)
    with av.open(io.BytesIO(conversion.data)) as source:
        seconds = sum(frame.samples / frame.sample_rate for frame in source.decode(audio=0))
    assert {len(samples) for samples in channels} == {result.samples}
    assert result.duration == pytest.approx(seconds, abs=0.05)
    middle = len(channels[0]) // 4
    assert media.tone_share(channels[0][middle : middle + rate], rate, media.TONES[0]) > 0.7
