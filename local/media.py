"""The demo's video, and how long the sound of a file lasts; with PyAV alone."""

import math
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

SECONDS = 10
RATE = 48_000
FPS = 10
WIDTH, HEIGHT = 320, 180
TONE = 440.0  # Hz
FRAME = 1024  # samples


class NoSoundError(Exception):
    """The file cannot be read as media with sound."""


def make_sample(path: Path) -> None:
    """A video of ten seconds: a bar that moves, and a tone."""
    draft = path.with_name(f"new-{path.name}")
    with av.open(str(draft), "w") as out:
        picture = out.add_stream("mpeg4", rate=FPS)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = out.add_stream("aac", rate=RATE)
        sound.layout = "mono"
        for image in (*_pictures(), None):  # the None at the end brings out what the encoder holds back
            out.mux(picture.encode(image))
        for frame in (*_sounds(), None):
            out.mux(sound.encode(frame))
    draft.replace(path)


def _pictures() -> Iterator[av.VideoFrame]:
    for number in range(SECONDS * FPS):
        frame = av.VideoFrame(WIDTH, HEIGHT, "gray")
        edge = WIDTH * number // (SECONDS * FPS)
        plane = frame.planes[0]
        line = bytes([220] * edge + [40] * (WIDTH - edge)) + bytes(plane.line_size - WIDTH)
        plane.update(line * HEIGHT)
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        yield frame.reformat(format="yuv420p")


def _sounds() -> Iterator[av.AudioFrame]:
    for start in range(0, SECONDS * RATE, FRAME):
        count = min(FRAME, SECONDS * RATE - start)
        wave = array("f", (0.3 * math.sin(2 * math.pi * TONE * n / RATE) for n in range(start, start + count)))
        frame = av.AudioFrame("fltp", "mono", count)
        frame.planes[0].update(wave.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield frame


def sound_seconds(path: Path) -> float:
    """From the first packet of sound to the end of the last, as the container tells it."""
    first, last = math.inf, -math.inf
    try:
        with av.open(str(path)) as source:
            for packet in source.demux(source.streams.audio[0]):
                if packet.pts is not None and packet.time_base is not None:
                    first = min(first, float(packet.pts * packet.time_base))
                    last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except (av.FFmpegError, IndexError) as error:
        raise NoSoundError(f"{path.name} holds no sound that can be read: {error}") from error
    return max(0.0, last - max(first, 0.0))  # what lies before 0 is the encoder's run-up, never heard


def decoded_seconds(path: Path) -> float:
    """How much sound comes out when the file is decoded."""
    try:
        with av.open(str(path)) as source:
            return sum(frame.samples / frame.sample_rate for frame in source.decode(source.streams.audio[0]))
    except (av.FFmpegError, IndexError) as error:
        raise NoSoundError(f"{path.name} does not decode: {error}") from error
