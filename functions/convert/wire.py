"""What parent and child say to each other over a socketpair: messages of a kind, a length, and that many bytes.

The child asks for chunks of the source by number and gets each whole; it also says which ones it will ask for next, as
far as it knows. It sends what the source says of itself, then the MP3 as it grows and the percent when it changes, and
at the end either the MP3's first frame and the figures, or why there is none. The parent takes nothing on trust: a
decoder may have been taken over by a crafted file, so every kind has its greatest length.
"""

import json
import socket
import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Any


class Kind(IntEnum):
    """What a message is."""

    JOB = 1  # parent: JSON, a conversion.Job
    READ = 2  # child: the number of a chunk, and those of the next ones that it expects to ask for
    CHUNK = 3  # parent: its bytes
    MP3 = 4  # child: the next bytes of the result
    PERCENT = 5  # child: one byte
    FRAME = 6  # child: what the first frame of the result must become
    RESULT = 7  # child: JSON, the figures; the last message of a success
    FAILED = 8  # child: a MediaError's code; the last message of a failure
    NOT_COPYABLE = 9  # child: another one must encode what this one tried to take over; its last message
    TEXTS = 10  # child: JSON, the source's title, artist and album; before the first MP3
    COVER = 11  # child: its picture; before the first MP3


_HEADER = struct.Struct("!BI")
_NUMBER = struct.Struct("!I")
MOST_NUMBERS = 16
MP3_BYTES = 131_072
MOST_COVER_BYTES = 200_000  # with the rest of the tag it must fit the MP3's first chunk, which is stored last
_LIMITS = {
    Kind.JOB: 16384,
    Kind.READ: MOST_NUMBERS * _NUMBER.size,
    Kind.CHUNK: 1 << 24,
    Kind.MP3: 2 * MP3_BYTES,
    Kind.PERCENT: 1,
    Kind.FRAME: 4096,
    Kind.RESULT: 4096,
    Kind.FAILED: 64,
    Kind.NOT_COPYABLE: 0,
    Kind.TEXTS: 16384,
    Kind.COVER: MOST_COVER_BYTES,
}
_SOCKET_BYTES = 1 << 20  # so that a whole chunk fits; the kernel gives what it allows


class WireError(Exception):
    """The other side is gone, or says what it may not."""


class Channel:
    """One end of the socketpair; blocking, for one thread."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        self._head = bytearray(_HEADER.size)

    def send(self, kind: Kind, data: bytes | bytearray | memoryview = b"") -> None:
        """Sends one message. Raises WireError."""
        head = _HEADER.pack(kind, len(data))
        try:
            sent = self._end.sendmsg([head, data])
            if sent < len(head):
                self._end.sendall(head[sent:])
            if sent < len(head) + len(data):
                self._end.sendall(memoryview(data)[max(0, sent - len(head)) :])
        except OSError as error:
            raise WireError("the other side is gone") from error

    def send_numbers(self, kind: Kind, numbers: Iterable[int]) -> None:
        """Sends one message of at most MOST_NUMBERS numbers. Raises WireError."""
        self.send(kind, b"".join(map(_NUMBER.pack, numbers)))

    def send_json(self, kind: Kind, value: dict[str, Any]) -> None:
        """Sends one message that is a JSON object. Raises WireError."""
        self.send(kind, json.dumps(value).encode())

    def receive(self) -> tuple[Kind, bytearray]:
        """The next message. Raises WireError."""
        kind, length = self.receive_head()
        data = bytearray(length)
        self.receive_into(data)
        return kind, data

    def receive_head(self) -> tuple[Kind, int]:
        """The kind and length of the next message, whose bytes receive_into must take. Raises WireError."""
        self.receive_into(self._head)
        number, length = _HEADER.unpack(self._head)
        if number not in _LIMITS or length > _LIMITS[Kind(number)]:
            raise WireError(f"a message of kind {number} and {length} bytes")
        return Kind(number), length

    def receive_into(self, target: bytearray | memoryview) -> None:
        """Fills `target`. Raises WireError."""
        view = memoryview(target)
        while view:
            try:
                got = self._end.recv_into(view, len(view), socket.MSG_WAITALL)
            except OSError as error:
                raise WireError("the other side is gone") from error
            if got == 0:
                raise WireError("the other side is gone")
            view = view[got:]


def numbers(data: bytes | bytearray) -> list[int]:
    """What send_numbers sent, at least one. Raises WireError."""
    if not data or len(data) % _NUMBER.size:
        raise WireError("no numbers")
    return [number for (number,) in _NUMBER.iter_unpack(data)]


def json_object(data: bytes | bytearray) -> dict[str, Any]:
    """What send_json sent. Raises WireError."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError("not JSON") from error
    if not isinstance(value, dict):
        raise WireError("not a JSON object")
    return value
