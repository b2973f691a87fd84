"""The source as the child sees it: a seekable file whose chunks are asked for over the wire, the last few kept."""

from collections.abc import Iterable

from functions.convert.wire import MOST_NUMBERS, Channel, Kind, WireError

KEPT_CHUNKS = 4  # a container may be read at two or three places in turn


class RemoteFile:
    """A file of `length` bytes in chunks of `chunk_size`, read through `channel`. Its calls raise WireError."""

    def __init__(self, channel: Channel, length: int, chunk_size: int) -> None:
        self._channel, self._length, self._chunk_size = channel, length, chunk_size
        self._position = 0
        self._kept: dict[int, memoryview] = {}  # least recently used first
        self._expected: list[int] = []
        self._rank: dict[int, int] = {}  # where in it a number stands

    def read(self, count: int, /) -> bytes:
        """At most `count` bytes, never across the end of a chunk, so that they are copied once; none at the end."""
        if count <= 0 or self._position >= self._length:
            return b""
        number, offset = divmod(self._position, self._chunk_size)
        data = self._chunk(number)[offset : offset + count].tobytes()
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As any file's."""
        position = offset + (0, self._position, self._length)[whence]
        if position < 0:
            raise ValueError("before the beginning")
        self._position = position
        return position

    def tell(self) -> int:
        """As any file's."""
        return self._position

    def expect(self, places: Iterable[tuple[int, int]]) -> None:
        """Says what will be read, as positions and lengths in that order, so that it is fetched before it is needed.

        Places that don't exist, and reading otherwise, do no harm.
        """
        self._rank = {}
        for position, count in places:
            if 0 <= position < self._length and 0 < count <= self._length - position:
                # A packet is small: what may lie between the two is not worth a bomb's while.
                for end in (position, position + count - 1):
                    self._rank.setdefault(end // self._chunk_size, len(self._rank))
        self._expected = list(self._rank)

    def _following(self, number: int) -> list[int]:
        rank = self._rank.get(number)
        return [] if rank is None else self._expected[rank + 1 : rank + MOST_NUMBERS]

    def _chunk(self, number: int) -> memoryview:
        chunk = self._kept.pop(number, None)
        if chunk is None:
            chunk = self._fetched(number)
        self._kept[number] = chunk
        return chunk

    def _fetched(self, number: int) -> memoryview:
        self._channel.send_numbers(Kind.READ, [number, *self._following(number)])
        kind, size = self._channel.receive_head()
        if kind is not Kind.CHUNK or size != min(self._chunk_size, self._length - number * self._chunk_size):
            raise WireError(f"{kind.name} of {size} bytes in answer to READ")
        # The memory of the chunk that goes serves for the one that comes.
        full = len(self._kept) >= KEPT_CHUNKS
        memory = self._kept.pop(next(iter(self._kept))).obj if full else bytearray(self._chunk_size)
        chunk = memoryview(memory)[:size]
        self._channel.receive_into(chunk)
        return chunk
