"""What a client may ask of a conversion: checked by upload, kept with the job, obeyed by convert."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

QUALITIES = (*(f"V{n}" for n in range(10)), *map(str, (64, 80, 96, 112, 128, 160, 192, 224, 256, 320)))
MOST_SECONDS = 86_400.0
LEAST_LUFS, MOST_LUFS = -40.0, -5.0
MOST_CHARACTERS = 200
OPTIONS = "options"
_TRACK = re.compile(r"[1-9][0-9]?|[a-z]{2,3}")
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class OptionError(ValueError):
    """An option that is not understood; the message is for the client."""


@dataclass(frozen=True)
class Options:
    """None means: as it comes.

    `quality` V0 (best) to V9 (smallest) with a variable bit rate, or a constant one in kbit/s. `start` and `end` cut,
    in seconds of the source. `loudness` is the target in LUFS (EBU R128). `track` is the number of a sound track, from
    1, or its language as the file names it. `title`, `artist` and `album` replace the source's, and `cover` says
    whether its picture is kept.
    """

    quality: str | None = None
    start: float | None = None
    end: float | None = None
    loudness: float | None = None
    track: str | None = None
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    cover: bool | None = None

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> Self:
        """From what a client sent, by name, and in JSON under OPTIONS; other names are ignored. Raises OptionError."""
        given = {**given, **_object(given.get(OPTIONS, "{}"))}
        options = cls(**{name: _READERS[name](name, value) for name, value in given.items() if name in NAMES})
        if options.end is not None and options.end <= (options.start or 0.0):
            raise OptionError("`end` must lie behind `start`.")
        return options

    @property
    def changes_sound(self) -> bool:
        """Whether the sound cannot be taken over as it is."""
        return any(value is not None for value in (self.quality, self.start, self.end, self.loudness))

    @property
    def document(self) -> dict[str, Any]:
        """What is asked for, by name: for a job record, a message, or `Options(**document)`."""
        return {name: value for name, value in asdict(self).items() if value is not None}


NAMES = frozenset(field.name for field in fields(Options))


def _object(text: object) -> Mapping[str, object]:
    try:
        found = json.loads(str(text))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OptionError(f"`{OPTIONS}` must be a JSON object.")
    if unknown := sorted(set(found) - NAMES):
        raise OptionError(f"`{OPTIONS}` knows no `{unknown[0][:50]}`.")
    return found


def _number(least: float, most: float) -> Callable[[str, object], float]:
    def read(name: str, value: object) -> float:
        try:
            number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if not least <= number <= most:
            raise OptionError(f"`{name}` must be a number from {least:g} to {most:g}.")
        return number

    return read


def _quality(name: str, value: object) -> str:
    text = str(value).upper()
    if text not in QUALITIES:
        raise OptionError(f"`{name}` must be one of {', '.join(QUALITIES)}.")
    return text


def _track(name: str, value: object) -> str:
    text = str(value).lower() if isinstance(value, str | int) else ""
    if not _TRACK.fullmatch(text):
        raise OptionError(f"`{name}` must be a track's number (1 to 99) or its language, such as 2 or deu.")
    return text


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MOST_CHARACTERS or not value.isprintable():
        raise OptionError(f"`{name}` must be a line of at most {MOST_CHARACTERS} characters.")
    return value


def _truth(name: str, value: object) -> bool:
    truth = _TRUTHS.get(str(value).lower())
    if truth is None:
        raise OptionError(f"`{name}` must be true or false.")
    return truth


_READERS: dict[str, Callable[[str, object], Any]] = {
    "quality": _quality,
    "start": _number(0, MOST_SECONDS),
    "end": _number(0, MOST_SECONDS),
    "loudness": _number(LEAST_LUFS, MOST_LUFS),
    "track": _track,
    "title": _text,
    "artist": _text,
    "album": _text,
    "cover": _truth,
}
