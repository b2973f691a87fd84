"""What the burst uploads: ten minutes of sound in a small video, made once with PyAV."""

import random
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

SECONDS = 600
RATE = 48_000
SOUND_BITS = 128_000
FPS = 2
WIDTH, HEIGHT = 160, 90
FRAME = 1024  # samples
LOOP = 47  # frames until the sound repeats: a second


def make(path: Path, seconds: int = SECONDS) -> Path:
    """The file, unless it is there: a grey picture that brightens, noise in stereo, which costs an encoder most."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"new-{path.name}")
    with av.open(str(draft), "w") as out:
        picture = out.add_stream("mpeg4", rate=FPS)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = out.add_stream("aac", rate=RATE, bit_rate=SOUND_BITS)
        sound.layout = "stereo"
        frames = _sounds(seconds)
        for number in range(seconds * FPS):
            out.mux(picture.encode(_picture(number)))
            for _ in range(RATE // FPS // FRAME + 1):
                if (frame := next(frames, None)) is not None:
                    out.mux(sound.encode(frame))
        for frame in frames:
            out.mux(sound.encode(frame))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    draft.replace(path)
    return path


def _picture(number: int) -> av.VideoFrame:
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, level in zip(frame.planes, (number % 200, 128, 128), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


def _sounds(seconds: int) -> Iterator[av.AudioFrame]:
    source = random.Random(1)  # noqa: S311 - noise, the same in each run
    noise = [[_noise(source) for _ in "lr"] for _ in range(LOOP)]
    total = seconds * RATE
    for start in range(0, total, FRAME):
        count = min(FRAME, total - start)
        frame = av.AudioFrame("fltp", "stereo", count)
        for plane, data in zip(frame.planes, noise[start // FRAME % LOOP], strict=True):
            plane.update(data[: count * 4].ljust(plane.buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield frame


def _noise(source: random.Random) -> bytes:
    return array("f", (source.uniform(-0.2, 0.2) for _ in range(FRAME))).tobytes()
