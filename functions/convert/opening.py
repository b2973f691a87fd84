"""Opens a file object as media: nameless, and libav may open nothing else, so playlists and scripts reach nothing."""

from typing import Protocol

import av
import av.subtitles.codeccontext  # PyAV would look for these once it meets a subtitle: too late in a cage
import av.subtitles.stream
import av.subtitles.subtitle
from av.container import InputContainer
from av.error import FFmpegError

from functions.convert import formats, wholeness
from functions.convert.errors import MediaError

READ_BYTES = 32_768  # a larger buffer reads more of the picture between two packets of sound


class File(Protocol):
    """What libav reads from."""

    def read(self, count: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


def opened(file: File) -> InputContainer:
    """The file as libav sees it. Raises MediaError."""
    try:
        return av.open(file, "r", options=formats.OPTIONS, metadata_errors="ignore", buffer_size=READ_BYTES)
    except FFmpegError as error:
        raise MediaError("corrupt" if wholeness.is_known(reader(file)(0, 64)) else "unsupported") from error


def reader(file: File) -> wholeness.ReadAt:
    """Reads anywhere, and leaves the file where it was."""

    def read_at(offset: int, count: int) -> bytes:
        position = file.tell()
        file.seek(offset)
        parts = bytearray()
        while len(parts) < count and (part := file.read(count - len(parts))):
            parts += part
        file.seek(position)  # where libav believes to be
        return bytes(parts)

    return read_at
