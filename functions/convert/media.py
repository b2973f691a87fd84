"""The sound of a media file as samples or as packets; tells a damaged or cut-off source from a whole one.

Pictures are never decoded.
"""

from collections.abc import Iterator
from itertools import chain, islice
from types import TracebackType
from typing import cast

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.error import FFmpegError, PatchWelcomeError
from av.packet import Packet
from av.stream import Discard, Disposition, Stream

from functions.convert import formats, tracks, wholeness
from functions.convert.errors import MediaError
from functions.convert.fitting import Fit
from functions.convert.lame import fitting_rate
from functions.convert.opening import File, opened, reader
from functions.convert.timeline import Timeline, tolerance

_TIMED = ("audio", "video", "subtitle")  # what may decide how long the whole lasts
_UNMIXABLE = (FFmpegError, ValueError)  # what the resampler raises for channels that nobody knows how to mix
_MOST_PLACES = 1_000_000  # six hours of sound
_MICROSECONDS = 1_000_000  # libav's unit for a container's times


class Sound:
    """The sound of one media file of `length` bytes. Raises MediaError at once where there is none to be read.

    `rate` (Hz) and `channels` (1 or 2) are what `frames` have. `codec`, `bit_rate` (bit/s; 0 where none is told, or
    nothing was lost), `metadata` and `cover` are the source's.
    """

    def __init__(self, file: File, length: int, track: str | None = None) -> None:
        self._length = length
        self._tag_bytes = wholeness.id3_bytes(reader(file)(0, 10))
        self._container = opened(file)
        self._format = self._container.format.name
        if wholeness.is_cut_off(reader(file), length, self._format):
            raise MediaError("corrupt")
        self._stream = tracks.chosen(self._container, track)
        self._sound_index = self._stream.index
        self._cover = tracks.cover(self._container)
        self._units = {stream.index: float(stream.time_base or 0) for stream in self._container.streams}
        self._timeline = Timeline(has_holes=self._format not in formats.INDEXED)
        self._is_counted = self._format in formats.COUNTED
        self._named_end = self._find_named_end()
        self._broke_off = self._is_beyond_us = False
        self._decoded = 0.0  # seconds
        self._sound_bytes = self._bad_bytes = self._last_byte = self._packets_seen = 0
        self.cover: bytes | None = None
        self._held: list[Packet[AudioStream]] = []
        self._demuxed = self._packets()
        self._first: AudioFrame | None = None
        self._source = self._decode()
        self._first = next(self._source, None)
        if self._first is None:
            raise MediaError(self._why_silent())
        self.codec = self._stream.codec_context.codec.canonical_name
        self.bit_rate = 0 if self.codec in formats.LOSSLESS else self._stream.codec_context.bit_rate or 0
        self.metadata = {**self._stream.metadata, **self._container.metadata}
        self.rate = fitting_rate(self._first.sample_rate)
        self.channels = 1 if len(self._first.layout.channels) == 1 else 2

    def __enter__(self) -> "Sound":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def percent(self) -> int:
        """How far `frames` have come, 0 to 100: by time where the source says how long it is, else by bytes."""
        if self._stream.duration:
            total = self._stream.duration * self._units[self._stream.index]
        else:
            total = (self._container.duration or 0) / _MICROSECONDS
        share = self._decoded / total if total > 0 else self._last_byte / self._length
        return min(100, int(100 * share))

    def places(self) -> list[tuple[int, int]]:
        """Position and length of what will be read, in that order, where the container has an index; else nothing."""
        if self._format not in formats.INDEXED:
            return []
        return [(entry.pos, entry.size) for entry in islice(self._stream.index_entries, _MOST_PLACES)]

    def frames(self) -> Iterator[AudioFrame]:
        """The samples: signed 32-bit, planar, at most SLICE_SAMPLES a frame. Raises MediaError at its end if more of
        the sound was lost than tolerance() allows, so that whoever came to the end has it whole."""
        layout = "mono" if self.channels == 1 else "stereo"
        known: tuple[str, str, int] | None = None
        fit: Fit | None = None
        frame = self._first
        while frame is not None:
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            try:
                if fit is None or kind != known:  # broadcasts change from stereo to 5.1 and back
                    if fit is not None:
                        yield from fit.rest()
                    known, fit = kind, Fit(frame, layout, self.rate)
                yield from fit.through(frame)
            except _UNMIXABLE as error:
                if frame is self._first:
                    raise MediaError("unsupported") from error
                fit = None  # damage that decoded to channels that there cannot be
                self._timeline.failed(frame.samples / frame.sample_rate)
            frame = next(self._source, None)
        if fit is not None:
            yield from fit.rest()
        self._check_whole()

    def packets(self) -> Iterator["Packet[AudioStream]"]:
        """The sound as it is stored, in place of `frames`. Raises MediaError at its end as `frames` does."""
        self._decoded = 0.0
        unit = self._units[self._stream.index]
        for packet in chain(self._held, self._sounds()):
            self._decoded += (packet.duration or 0) * unit
            yield packet
        self._check_whole()

    def check_so_far(self) -> None:
        """For who leaves off before the end of `frames`: raises MediaError if more of what they gave was lost than
        tolerance() allows."""
        missing = self._missing() if self._format == "mp3" else 0.0  # which has no time stamps to tell it by
        if self._timeline.lost(self._decoded, missing) > tolerance(self._decoded):
            raise MediaError("corrupt")

    def _check_whole(self) -> None:
        if self._timeline.lost(self._decoded, self._missing()) > tolerance(self._named_end or self._decoded):
            raise MediaError("corrupt")

    def _find_named_end(self) -> float | None:
        stream, unit, container = self._stream, self._units[self._stream.index], self._container
        if self._format in formats.NAMES_SOUND_END and stream.duration:
            return ((stream.start_time or 0) + stream.duration) * unit
        if self._format in formats.NAMES_WHOLE_END and container.duration:
            return ((container.start_time or 0) + container.duration) / _MICROSECONDS
        return None

    def _wanted(self) -> list[Stream]:
        streams = [] if self._format in formats.INDEXED else list(self._container.streams)
        wanted = [s for s in streams if s.type in _TIMED and not s.disposition & Disposition.attached_pic]
        if self._cover is not None:
            wanted.append(self._cover)
        for stream in self._container.streams:
            if stream not in wanted and stream is not self._stream:
                stream.discard = Discard.all
        return [*wanted, *([] if self._stream in wanted else [self._stream])]

    def _decode(self) -> Iterator[AudioFrame]:
        for packet in self._sounds():
            if self._first is None:
                self._held.append(packet)
            yield from self._sounding(packet)
        yield from self._sounding(None)

    def _sounds(self) -> Iterator["Packet[AudioStream]"]:
        try:
            for packet in self._demuxed:
                if self._cover is not None and packet.stream_index == self._cover.index:
                    self.cover = self.cover or bytes(packet)
                elif packet.size and self._saw(packet):
                    yield cast("Packet[AudioStream]", packet)
        except FFmpegError:
            self._broke_off = True

    def _packets(self) -> Iterator["Packet[Stream]"]:
        try:
            yield from self._container.demux(*self._wanted())
        except IndexError:
            # PyAV, once all packets are through, over a stream that came up on the way (its issue 692).
            return

    def _saw(self, packet: "Packet[Stream]") -> bool:
        index, size, position = packet.stream_index, packet.size, packet.pos
        is_sound = index == self._sound_index
        if position is None:
            position = self._last_byte
        place = None if self._is_counted else (position, size)
        start = packet.pts
        if start is None:
            start = packet.dts
        if start is not None:
            unit = self._units[index]
            seconds = (packet.duration or 0) * unit
            if is_sound or packet.stream.type == "video":
                self._timeline.saw(start * unit, seconds, place, is_sound)
            else:
                self._timeline.saw_aside(start * unit + seconds)
        if is_sound:
            self._packets_seen += 1
            self._sound_bytes += size
            self._last_byte = position + size
        return is_sound

    def _sounding(self, packet: "Packet[AudioStream] | None") -> Iterator[AudioFrame]:
        seconds = 0.0 if packet is None else (packet.duration or 0) * self._units[self._stream.index]
        try:
            frames = self._stream.codec_context.decode(packet)
        except FFmpegError as error:
            self._is_beyond_us = isinstance(error, PatchWelcomeError)
            self._timeline.failed(seconds)
            self._bad_bytes += packet.size if packet else 0
            return
        if not frames and packet is not None and not packet.is_discard:
            self._timeline.gave_nothing(seconds)
        for frame in frames:
            self._decoded += frame.samples / frame.sample_rate
            yield frame

    def _missing(self) -> float:
        """Seconds of sound that the file names and that never came, as far as it names any."""
        if self._named_end is not None:
            is_whole = self._format in formats.NAMES_WHOLE_END
            missing = self._named_end - (self._timeline.last_end if is_whole else self._timeline.sound_end or 0.0)
            if self._format in formats.INDEXED and self.codec in formats.SWALLOWED:
                return max(missing, self._decoded * (len(self._stream.index_entries) / self._packets_seen - 1))
            return missing
        if self._format == "avi":
            named = sum(entry.size for entry in self._stream.index_entries)
            return self._decoded * (named / max(1, self._sound_bytes) - 1)
        if self._format in formats.RAW:
            # libav's positions in ADTS are mere sums of sizes; an MP3 may have tags behind its last frame.
            named = (self._last_byte if self._format == "mp3" else self._length) - self._tag_bytes
            return self._decoded * (named / max(1, self._sound_bytes - self._bad_bytes) - 1)
        if self._broke_off or self._format in formats.ENDS_QUIETLY:
            end = max(1, self._last_byte, self._timeline.byte_end)
            return self._decoded * max(0, self._length - end - formats.PADDING_BYTES) / end
        return 0.0

    def _why_silent(self) -> str:
        if self._is_beyond_us:
            return "unsupported"
        return "corrupt" if self._broke_off or self._timeline.sound_end is not None else "no_audio"  # an empty track
