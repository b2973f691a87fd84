"""The parent against a child that a crafted file has taken over: nothing it says does harm or comes without end."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from functions.common.options import MOST_CHARACTERS, Options
from functions.convert import child, id3, labels
from functions.convert.child import Result
from functions.convert.errors import ChildDied
from functions.convert.wire import _LIMITS, MOST_COVER_BYTES, Channel, Kind, WireError
from tests.converting import Conversion

FIGURES: dict[str, Any] = {"samples": 48_000, "rate": 48_000, "channels": 2, "codec": "aac", "mode": "encode"}
FIGURES |= {"cpu_seconds": 0.1, "peak_bytes": 1}


class Impostor:
    """Stands where the child does, and says what it likes."""

    def __init__(self, says: Callable[[Channel], None]) -> None:
        ours, self._theirs = socket.socketpair()
        self.channel, self._ours = Channel(ours), ours
        self._thread = threading.Thread(target=self._speak, args=[says])

    def __enter__(self) -> "Impostor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._thread.join()
        self._ours.close()

    def kill(self) -> None:
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)

    def _speak(self, says: Callable[[Channel], None]) -> None:
        with self._theirs, suppress(WireError):
            channel = Channel(self._theirs)
            channel.receive()
            says(channel)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Channel], None]], Result]]:
    """Converts with a child that says so; gives the result."""

    def convert(says: Callable[[Channel], None]) -> Result:
        monkeypatch.setattr(child, "Child", lambda: Impostor(says))
        return conversion.run()

    conversion = Conversion(bytes(1000))
    yield convert
    assert len(conversion.mp3) <= child.MOST_SECONDS * child.MOST_BYTES_A_SECOND + child.MOST_FRONT_BYTES


def ending_with(figures: bytes) -> Callable[[Channel], None]:
    """Says what an honest child would, but for the figures."""

    def says(channel: Channel) -> None:
        channel.send(Kind.MP3, b"m" * 1000)
        channel.send(Kind.FRAME, b"h" * 10)
        channel.send(Kind.RESULT, figures)

    return says


Answer = Callable[[Callable[[Channel], None]], Result]


def test_what_an_honest_child_says_is_taken(answer: Answer) -> None:
    result = answer(ending_with(json.dumps(FIGURES).encode()))

    assert (result.duration, result.bytes_written, result.bitrate) == (1, 1000, 8000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("samples", value) for value in (0, -1, 1 << 40, 10**4000, 1.5, "1", None)),
        *(("rate", value) for value in (0, -1, 7999, 96_000, float("nan"))),
        *(("channels", value) for value in (0, 3, None)),
        *(("codec", value) for value in ("", "x" * 33, "\ud800", "a\0", {"$where": "x"})),
        *(("mode", value) for value in ("", None, "a b")),
        *(("cpu_seconds", value) for value in (-1.0, float("nan"), float("inf"), 1e9)),
        *(("peak_bytes", value) for value in (-1, 1 << 64)),
        *(("loudness", value) for value in (1, [], {}, {"target": 1})),
        ("loudness", dict.fromkeys(["target", "before", "after", "gain", "limited"], float("inf"))),
        ("loudness", dict.fromkeys(["target", "before", "after", "gain", "limited"], 10**400)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_figures_that_cannot_be_are_no_result(answer: Answer, name: str, value: object) -> None:
    with pytest.raises(ChildDied):
        answer(ending_with(json.dumps(FIGURES | {name: value})[:5000].encode()))


@pytest.mark.parametrize("said", [b"[" * 4096, b"{", b"\xff", b"1" * 4096, b"null"])
def test_a_result_that_is_no_object_is_none(answer: Answer, said: bytes) -> None:
    with pytest.raises(ChildDied):
        answer(ending_with(said))


def test_an_mp3_without_end_is_ended(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MOST_SECONDS", 60.0)

    honest = ending_with(json.dumps(FIGURES).encode())

    def says(channel: Channel) -> None:
        for _ in range(30):  # 3 MB for a minute: too much; then as if nothing were
            channel.send(Kind.MP3, b"m" * 100_000)
        honest(channel)

    with pytest.raises(ChildDied, match="bytes of MP3"):
        answer(says)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CHUNK])
def test_a_message_that_is_too_long_is_no_message(answer: Answer, kind: Kind) -> None:
    with pytest.raises(ChildDied, match="a message of kind"):
        answer(lambda channel: channel.send(kind, bytes(_LIMITS[kind] + 1)))


@pytest.mark.parametrize(
    "says",
    [
        lambda channel: channel.send_numbers(Kind.READ, [1]),
        lambda channel: channel.send_numbers(Kind.READ, [0, 1]),
        lambda channel: channel.send(Kind.READ, bytes(5)),
        lambda channel: channel.send(Kind.READ, b""),
        lambda channel: channel.send(Kind.JOB),
        lambda channel: channel.send(Kind.CHUNK),
        lambda channel: channel.send(Kind.FAILED, b"time_limit"),  # the parent's to find
        lambda channel: channel.send(Kind.FAILED, b"\xff"),
        lambda channel: channel.send_json(Kind.RESULT, FIGURES),  # without an MP3
        lambda channel: channel.send_json(Kind.TEXTS, {"title": "x" * (MOST_CHARACTERS + 1)}),
        lambda channel: channel.send_json(Kind.TEXTS, {"title": "two\nlines"}),
        lambda channel: channel.send_json(Kind.TEXTS, {"title": "\ud800"}),
        lambda channel: channel.send_json(Kind.TEXTS, {"title": 1}),
        lambda channel: channel.send_json(Kind.TEXTS, {"composer": "x"}),
        lambda channel: (channel.send(Kind.MP3, b"m"), channel.send_json(Kind.TEXTS, {"title": "late"})),
        lambda channel: (channel.send(Kind.MP3, b"m"), channel.send(Kind.COVER, b"\xff\xd8\xff")),
    ],
)
def test_what_no_child_says_ends_it(answer: Answer, says: Callable[[Channel], None]) -> None:
    honest = ending_with(json.dumps(FIGURES).encode())

    def both(channel: Channel) -> None:  # if the first went through, this would be a success
        says(channel)
        honest(channel)

    with pytest.raises(ChildDied):
        answer(both)


def test_a_child_that_says_nothing_has_died(answer: Answer) -> None:
    with pytest.raises(ChildDied):
        answer(lambda channel: None)


@pytest.mark.parametrize(("size", "is_kept"), [(MOST_COVER_BYTES, True), (MOST_COVER_BYTES + 1, False)])
def test_a_cover_that_is_too_large_is_left_out(size: int, is_kept: bool) -> None:
    cover = b"\xff\xd8\xff" + bytes(size - 3)

    assert (labels.picture(cover) is not None) is is_kept
    assert (len(id3.tag({}, cover, Options())) > size) is is_kept


def test_the_largest_tag_fits_what_the_parent_takes() -> None:
    metadata = dict.fromkeys(["title", "artist", "album"], "\U0001f600" * 10_000) | {"comment": "x" * 100_000}
    texts = labels.texts(metadata)

    tag = id3.tag(texts, b"\xff\xd8\xff" + bytes(MOST_COVER_BYTES - 3), Options())

    assert len(json.dumps(texts)) < _LIMITS[Kind.TEXTS]
    assert 3 * 4 * MOST_CHARACTERS < len(tag) - MOST_COVER_BYTES < 4000
    # With the first frame, within what the parent takes and GridFS's first chunk.
    assert len(tag) + _LIMITS[Kind.FRAME] < min(child.MOST_FRONT_BYTES, 255 * 1024)
