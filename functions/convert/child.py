"""The parent's side of a conversion: serves the source to the child, takes the MP3, says how it ended.

A crafted file may have taken the child over, so what it says is held against what can be: a figure or a flood that no
honest child sends ends it.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from functions.common.options import Options
from functions.convert import id3, labels
from functions.convert.cores import cores
from functions.convert.errors import ChildDied, MediaError, NotCopyable, Stopped
from functions.convert.process import Child, Flag, Watch
from functions.convert.readahead import Fetch, OverError, ReadAhead
from functions.convert.wire import Channel, Kind, WireError, json_object, numbers

__all__ = ["ChildDied", "MediaError", "NotCopyable", "Result", "Stopped", "convert"]

# What a child may find; the other codes are the parent's.
_CODES = frozenset({"no_audio", "corrupt", "unsupported", "no_such_track", "nothing_left", "too_long"})
MOST_SECONDS = 4 * 3600.0  # of sound; what lasts longer is taken for a bomb
MOST_BYTES_A_SECOND = 41_000  # of MP3: 320 kbit/s, and the bytes that pad frames
MOST_FRONT_BYTES = 1 << 18  # the tag and the first frame
_WORD = re.compile(r"[a-z0-9_]{1,32}")
V = TypeVar("V", int, float)


@dataclass(frozen=True)
class Result:
    """A finished conversion. `head` is what the first bytes of the MP3 must become; the rest is for the job record.

    Durations in seconds, `rate` in Hz, `bitrate` in bit/s; `codec` is the source's.
    """

    head: bytes
    duration: float
    samples: int
    rate: int
    channels: int
    codec: str
    bitrate: int
    bytes_read: int
    bytes_written: int
    cpu_seconds: float
    peak_bytes: int
    mode: str
    loudness: dict[str, Any] | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """All but the head, and what there is nothing to say of."""
        return {name: value for name, value in asdict(self).items() if name != "head" and value is not None}


def convert(
    fetch: Fetch,
    length: int,
    chunk_size: int,
    write: Callable[[bytes], None],
    progress: Callable[[int], None],
    deadline: float,
    stopped: Flag,
    options: Mapping[str, Any] | None = None,
    *,
    may_copy: bool = True,
) -> Result:
    """Makes the MP3 of a source of `length` bytes, stored in chunks of `chunk_size` that `fetch` gets.

    `write` is given the MP3 piece by piece, `progress` the percent whenever it changes. Raises MediaError (with the
    code `time_limit` once time.monotonic() passes `deadline`), NotCopyable (another call with `may_copy` False will do,
    once what was written is gone), Stopped once `stopped` is set, ChildDied, and whatever `fetch` or `write` raise.
    No process of the child is left in any case.
    """
    total = -(-length // chunk_size)
    asked_for = Options(**options or {})
    with Child() as child, ReadAhead(fetch, total) as chunks, Watch(child, deadline, stopped) as watch:
        try:
            asked = {"options": asked_for.document, "may_copy": may_copy, "most_seconds": MOST_SECONDS}
            asked["cpu_seconds"] = max(1.0, deadline - time.monotonic()) * (cores() + 1)
            asked |= {"length": length, "chunk_size": chunk_size, "threads": cores()}
            child.channel.send_json(Kind.JOB, asked)
            return _Conversation(child.channel, chunks, total, write, progress, watch, asked_for).result()
        except (WireError, OverError) as error:
            raise watch.reason or ChildDied(str(error)) from error


@dataclass
class _Conversation:
    channel: Channel
    chunks: ReadAhead
    total: int
    write: Callable[[bytes], None]
    progress: Callable[[int], None]
    watch: Watch
    options: Options
    written: int = 0
    percent: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    cover: bytes | None = None
    front: bytes | None = None
    frame: bytes = b""

    def result(self) -> Result:
        """Answers the child until it has finished or failed."""
        answers = {
            Kind.READ: self._read,
            Kind.MP3: self._store,
            Kind.PERCENT: self._advance,
            Kind.TEXTS: self._take_texts,
            Kind.COVER: self._take_cover,
            Kind.FRAME: self._take_frame,
            Kind.FAILED: self._fail,
            Kind.NOT_COPYABLE: self._refuse,
        }
        while True:
            kind, data = self.channel.receive()
            if self.watch.is_over():
                raise OverError
            if kind is Kind.RESULT:
                return self._conclude(json_object(data))
            if kind not in answers:
                raise WireError(f"{kind.name} from the child")
            answers[kind](bytes(data))

    def _read(self, data: bytes) -> None:
        wanted = numbers(data)
        if max(wanted) >= self.total:
            raise WireError(f"asked for chunk {max(wanted)} of {self.total}")
        chunk, *following = wanted
        self.channel.send(Kind.CHUNK, self.chunks.chunk(chunk, self.watch.is_over, following))

    def _take_texts(self, data: bytes) -> None:
        texts = json_object(data)
        if self.front is not None or not labels.are_texts(texts):
            raise WireError("no such texts in a source")
        self.texts = texts

    def _take_cover(self, data: bytes) -> None:
        if self.front is not None:
            raise WireError("a cover after the MP3 has begun")
        self.cover = data

    def _store(self, data: bytes) -> None:
        if self.front is None:
            self.front = id3.tag(self.texts, self.cover, self.options)
            data = self.front + data
        self.written += len(data)
        if self.written > MOST_SECONDS * MOST_BYTES_A_SECOND + MOST_FRONT_BYTES:
            raise WireError(f"{self.written} bytes of MP3")
        self.write(data)

    def _advance(self, data: bytes) -> None:
        percent = min(100, int.from_bytes(data, "big"))
        if percent > self.percent:
            self.percent = percent
            self.progress(percent)

    def _take_frame(self, data: bytes) -> None:
        self.frame = data

    def _fail(self, data: bytes) -> None:
        code = data.decode("ascii", errors="replace")
        raise MediaError(code) if code in _CODES else WireError("failed without a known code")

    def _refuse(self, data: bytes) -> None:
        raise NotCopyable

    def _conclude(self, said: dict[str, Any]) -> Result:
        rate = _figure(said, "rate", int, 8_000, 48_000)
        samples = _figure(said, "samples", int, 1, MOST_SECONDS * rate)
        head = (self.front or b"") + self.frame
        if not self.frame or len(head) > self.written:
            raise WireError("a result without an MP3")
        self._advance(bytes([100]))
        duration = samples / rate
        return Result(
            head=head,
            duration=round(duration, 3),
            samples=samples,
            rate=rate,
            channels=_figure(said, "channels", int, 1, 2),
            codec=_word(said, "codec"),
            bitrate=round(8 * self.written / duration),
            bytes_read=self.chunks.bytes,
            bytes_written=self.written,
            cpu_seconds=_figure(said, "cpu_seconds", float, 0, 1e6),
            peak_bytes=_figure(said, "peak_bytes", int, 0, 1 << 40),
            mode=_word(said, "mode"),
            loudness=_loudness(said),
        )


def _figure(said: dict[str, Any], name: str, kind: type[V], least: float, most: float) -> V:
    value = said.get(name)
    if not isinstance(value, kind) or not least <= value <= most:  # not a number is neither
        raise WireError(f"no {name} in the result")
    return value


def _word(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise WireError(f"no {name} in the result")
    return value


def _loudness(said: dict[str, Any]) -> dict[str, Any] | None:
    found = said.get("loudness")
    if found is None:
        return None
    if not isinstance(found, dict) or set(found) != {"target", "before", "after", "gain", "limited"}:
        raise WireError("no loudness in the result")
    if not all(value is None or (isinstance(value, int | float) and abs(value) < 1000) for value in found.values()):
        raise WireError("no loudness in the result")
    return found
