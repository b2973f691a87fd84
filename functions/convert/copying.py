"""MP3 that lies in the source already: its frames are taken over as they are, behind a tag of our own.

Nothing is decoded, so nothing gets worse, and it takes a thirtieth of the time.
"""

import struct
from collections.abc import Iterator

from av.audio.stream import AudioStream
from av.packet import Packet

from functions.convert.errors import MediaError, NotCopyable
from functions.convert.layer3 import DECODER_DELAY, NotLayer3Error, Stream
from functions.convert.media import Sound

_PIECE_FRAMES = 256
_SKIP = struct.Struct("<II")  # libav's AV_PKT_DATA_SKIP_SAMPLES: from the start, from the end
_ENCODER = b"LAME3.100"  # which encoder it was isn't known; this is the name whose delay players heed


class Copying:
    """An Encoding of what `sound.packets` gives. Both calls raise NotCopyable where that isn't plain MP3 after all."""

    def __init__(self, sound: Sound, most_seconds: float) -> None:
        self.samples = 0
        self._most_seconds = most_seconds
        self._sound = sound
        self._sizes: list[int] = []
        self._stream: Stream | None = None
        self._most_frames = 0
        self._skip = self._discard = 0

    def pieces(self) -> Iterator[bytes]:
        """See Encoding."""
        waiting: list[bytes] = []
        try:
            for packet in self._sound.packets():
                frame = bytes(packet)
                if self._stream is None:
                    waiting.append(bytes(self._begin(frame).tag_bytes))
                self._take(packet, frame)
                waiting.append(frame)
                if len(waiting) >= _PIECE_FRAMES:
                    yield b"".join(waiting)
                    waiting.clear()
        except NotLayer3Error as error:
            raise NotCopyable from error
        yield b"".join(waiting)
        if self._stream is not None:
            self.samples = len(self._sizes) * self._stream.samples - self._skip - self._discard
        if self.samples <= 0:  # or the header would cut off more than there is
            raise NotCopyable
        if self._skip < DECODER_DELAY:  # the tag cannot tell what to cut off, so nothing will be
            self.samples += self._skip + self._discard

    def head(self) -> bytes:
        """See Encoding."""
        assert self._stream
        try:
            return self._stream.tag(self._sizes, self.samples, self._skip, _ENCODER)
        except NotLayer3Error as error:
            raise NotCopyable from error

    def _begin(self, frame: bytes) -> Stream:
        self._stream = Stream(frame)
        self._most_frames = int(self._most_seconds * self._stream.rate / self._stream.samples)
        return self._stream

    def _take(self, packet: "Packet[AudioStream]", frame: bytes) -> None:
        assert self._stream
        # A packet that is to be discarded belongs to an edit list, which frames cannot follow.
        if packet.is_discard or self._stream.size(frame) != len(frame):
            raise NotCopyable
        for aside in packet.iter_sidedata():
            if aside.data_type == "skip_samples":
                begin, end = _SKIP.unpack_from(bytes(aside))
                self._skip += begin
                self._discard += end
        self._sizes.append(len(frame))
        if len(self._sizes) > self._most_frames:
            raise MediaError("too_long")
