"""One conversion from a file object to an MP3: what to do with the sound, by what was asked and what the source is."""

import resource
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

from av.audio.frame import AudioFrame

from functions.common.options import Options
from functions.convert import labels
from functions.convert.copying import Copying
from functions.convert.encoding import Encoding, encoding
from functions.convert.errors import MediaError
from functions.convert.lame import Setting
from functions.convert.layer3 import bit_rates
from functions.convert.loudness import PEAK_DB, Meter, amplified
from functions.convert.media import Sound
from functions.convert.opening import File
from functions.convert.shaping import cut

DEFAULT_QUALITY = "V2"
LEAST_KBITS = 64  # nothing is capped below: speech codecs make more of a bit rate than MP3 does


@dataclass(frozen=True)
class Job:
    """What the parent asks for.

    The source's `length` in bytes and its `chunk_size`, how many `threads` may encode, what the client asked for,
    whether MP3 may be taken over as it is, how many seconds of sound are too many, and how many of computing.
    """

    length: int
    chunk_size: int
    threads: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    may_copy: bool = True
    most_seconds: float = 86_400.0
    cpu_seconds: float = 86_400.0


Expect = Callable[[Iterable[tuple[int, int]]], None]
"""Told which places of the file will be read: RemoteFile.expect."""


class Outlet(Protocol):
    """Where the MP3 goes, what its source says of itself (before the first of it), and how far it has come."""

    def labels(self, texts: dict[str, str], cover: bytes | None) -> None: ...
    def mp3(self, data: bytes) -> None: ...
    def percent(self, percent: int) -> None: ...


@dataclass
class Loudness:
    """What was measured before (LUFS, dBTP), and what is done about it: `gain` in dB."""

    target: float
    before: Meter
    after: Meter

    @property
    def gain(self) -> float:
        """0 for silence, which nothing makes louder."""
        return 0.0 if self.before.loudness is None else round(self.target - self.before.loudness, 2)

    @property
    def is_limited(self) -> bool:
        """Whether peaks would come out too high."""
        return self.gain + self.before.peak > PEAK_DB

    @property
    def figures(self) -> dict[str, Any]:
        """For the job record."""
        heard = {"before": self.before.loudness, "after": self.after.loudness}
        return {"target": self.target, **heard, "gain": self.gain, "limited": self.is_limited}


def convert(
    file: File, job: Job, outlet: Outlet, pool: ThreadPoolExecutor, expect: Expect = lambda places: None
) -> tuple[bytes, dict[str, Any]]:
    """Sends the MP3 to `outlet`; returns what its first frame must become, and the figures.

    Encodes on the threads of `pool`. Raises MediaError, and NotCopyable when only another try with `may_copy` False can
    succeed.
    """
    options = Options(**job.options)
    loudness = None if options.loudness is None else _measured(file, job, options, options.loudness, expect)
    with Sound(file, job.length, options.track) as sound:
        expect(sound.places())
        is_copied = job.may_copy and sound.codec == "mp3" and not options.changes_sound
        if is_copied:
            making: Encoding = Copying(sound, job.most_seconds)
        else:
            frames = _sounding(sound, job, options, loudness, outlet)
            making = encoding(frames, _setting(sound, options), pool, job.threads)
        outlet.labels(labels.texts(sound.metadata), sound.cover if labels.picture(sound.cover) else None)
        for piece in making.pieces():
            outlet.mp3(piece)
            outlet.percent(sound.percent)
        figures: dict[str, Any] = {"mode": "copy" if is_copied else "encode", "codec": sound.codec, **_spent()}
        figures |= {"samples": making.samples, "rate": sound.rate, "channels": sound.channels}
        if loudness:
            figures["loudness"] = loudness.figures
        return making.head(), figures


def _sounding(
    sound: Sound, job: Job, options: Options, loudness: Loudness | None, outlet: Outlet
) -> Iterator[AudioFrame]:
    frames = _samples(sound, job, options, outlet)
    if loudness:
        frames = amplified(frames, sound.rate, sound.channels, loudness.gain, loudness.is_limited)
        frames = loudness.after.through(frames)
    return frames


def _measured(file: File, job: Job, options: Options, target: float, expect: Expect) -> Loudness:
    with Sound(file, job.length, options.track) as sound:
        expect(sound.places())
        before, after = (Meter(sound.rate, sound.channels) for _ in range(2))
        for _ in before.through(_samples(sound, job, options)):
            pass
        file.seek(0)
        return Loudness(target, before, after)


def _samples(sound: Sound, job: Job, options: Options, outlet: Outlet | None = None) -> Iterator[AudioFrame]:
    """The samples that are wanted; at least one, or MediaError."""
    first = round((options.start or 0.0) * sound.rate)
    end = None if options.end is None else round(options.end * sound.rate)
    frames = _checked(cut(_bounded(sound, job.most_seconds, outlet), first, end), sound)
    found = next(frames, None)
    if found is None:
        raise MediaError("nothing_left")
    return chain([found], frames)


def _checked(frames: Iterator[AudioFrame], sound: Sound) -> Iterator[AudioFrame]:
    yield from frames
    sound.check_so_far()


def _bounded(sound: Sound, most_seconds: float, outlet: Outlet | None) -> Iterator[AudioFrame]:
    samples = 0
    for frame in sound.frames():
        samples += frame.samples
        if samples > most_seconds * sound.rate:
            raise MediaError("too_long")
        yield frame
        if outlet:
            outlet.percent(sound.percent)


def _setting(sound: Sound, options: Options) -> Setting:
    """What was asked for, but no higher bit rate than the source has: it would hold nothing more."""
    known = bit_rates(sound.rate)
    wanted = max(sound.bit_rate / 1000, LEAST_KBITS) if sound.bit_rate else known[-1]
    cap = next((rate for rate in known if rate >= wanted), known[-1])
    quality = options.quality or DEFAULT_QUALITY
    if quality.startswith("V"):
        return Setting(sound.rate, sound.channels, vbr=float(quality[1:]), most=cap)
    kbits = min(int(quality), cap)
    return Setting(sound.rate, sound.channels, vbr=None, kbits=max(rate for rate in known if rate <= kbits))


def _spent() -> dict[str, Any]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_seconds": round(time.process_time(), 3), "peak_bytes": used.ru_maxrss * 1024}
