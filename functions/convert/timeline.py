"""Keeps account of how much of a source's sound was not there, in seconds, so that no short MP3 passes for a whole one.

Four kinds of loss: packets that don't decode, packets that decode to nothing, holes, and a missing end. A gap in the
time stamps is a hole only as far as bytes of the file were passed over in it: a recorder may have been muted or paused.
"""

from dataclasses import dataclass, field

HOLE_SECONDS = 0.5  # less than that is jitter of the recorder's clock


@dataclass
class Timeline:
    """Fed with every packet in file order. Without `has_holes`, gaps are never holes."""

    has_holes: bool = True
    sound_end: float | None = None  # where the sound seen so far ends, by its time stamps
    any_end: float | None = None  # the same over sound and picture
    last_end: float = 0.0  # the same over everything, other tracks and subtitles too
    byte_end: int = 0  # where in the file the last packet of sound or picture ended
    holes: float = 0.0
    undecodable: float = 0.0
    _empty: float = 0.0
    _named: float = 0.0
    _open_hole: float = 0.0
    _hole_end: float = 0.0
    _start: tuple[float, int] = field(default=(0.0, 0), repr=False)

    def saw(self, start: float, seconds: float, place: tuple[int, int] | None, is_sound: bool) -> None:
        """A packet of the sound or of a picture: when, for how long (0: it doesn't say), its position and size in the
        file. Without those, gaps are holes whatever was passed over."""
        position, size = place or (0, 0)
        if self.any_end is None:
            self._start = (start, position)
        elif self.has_holes and start - self.any_end > HOLE_SECONDS:
            self._open_hole += self._hole(start - self.any_end, position - self.byte_end)
            self._hole_end = start
        end = start + seconds
        if self.any_end is None or end > self.any_end:
            self.any_end = end
            self.last_end = max(self.last_end, end)
        if position + size > self.byte_end:
            self.byte_end = position + size
        if is_sound:
            self._named += seconds
            if self._open_hole:
                self._close_hole(start)
            if self.sound_end is None or end > self.sound_end:
                self.sound_end = end

    def saw_aside(self, end: float) -> None:
        """A packet of what is neither the sound nor a picture."""
        self.last_end = max(self.last_end, end)

    def _close_hole(self, start: float) -> None:
        if self.sound_end is not None and start - self.sound_end > HOLE_SECONDS:
            self.holes += min(self._open_hole, start - self.sound_end)
            self._open_hole = 0.0
        elif start >= self._hole_end:  # the last sound from before a hole may come behind the first picture after it
            self._open_hole = 0.0

    def _hole(self, seconds: float, skipped: int) -> float:
        first_second, first_byte = self._start
        bytes_a_second = (self.byte_end - first_byte) / max(1.0, (self.any_end or 0.0) - first_second)
        return min(seconds, skipped / bytes_a_second) if bytes_a_second > 0 else seconds

    def failed(self, seconds: float) -> None:
        """The packet just seen could not be decoded."""
        self.undecodable += seconds

    def gave_nothing(self, seconds: float) -> None:
        """The packet just seen decoded, to no samples."""
        self._empty += seconds

    def lost(self, decoded: float, missing: float) -> float:
        """Seconds lost of a sound that decoded to `decoded` seconds and lacks `missing` at its end."""
        # Some decoders hand a packet's sound out with the next one: then nothing is lacking in the sum.
        unheard = min(self._empty, max(0.0, self._named - self.undecodable - decoded))
        return self.undecodable + self.holes + unheard + max(0.0, missing)


def tolerance(seconds: float) -> float:
    """How much of a sound of `seconds` may be lost before the source counts as damaged."""
    return max(1.0, 0.01 * seconds)
