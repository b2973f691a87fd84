"""The source as the child sees it: a seekable file whose chunks are asked for over the wire, the last few kept."""

from functions.convert.wire import Channel, Kind, WireError

KEPT_CHUNKS = 4  # a container may be read at two or three places in turn


class RemoteFile:
    """A file of `length` bytes in chunks of `chunk_size`, read through `channel`. Its calls raise WireError."""

    def __init__(self, channel: Channel, length: int, chunk_size: int) -> None:
        self._channel, self._length, self._chunk_size = channel, length, chunk_size
        self._position = 0
        self._kept: dict[int, memoryview] = {}  # least recently used first

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

    def _chunk(self, number: int) -> memoryview:
        chunk = self._kept.pop(number, None)
        if chunk is None:
            chunk = self._fetched(number)
        self._kept[number] = chunk
        return chunk

    def _fetched(self, number: int) -> memoryview:
        self._channel.send_number(Kind.READ, number)
        kind, size = self._channel.receive_head()
        if kind is not Kind.CHUNK or size != min(self._chunk_size, self._length - number * self._chunk_size):
            raise WireError(f"{kind.name} of {size} bytes in answer to READ")
        # The memory of the chunk that goes serves for the one that comes.
        full = len(self._kept) >= KEPT_CHUNKS
        memory = self._kept.pop(next(iter(self._kept))).obj if full else bytearray(self._chunk_size)
        chunk = memoryview(memory)[:size]
        self._channel.receive_into(chunk)
        return chunk
