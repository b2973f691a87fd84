"""Keeps account of how much of a source's sound was not there, in seconds, so that no short MP3 passes for a whole one.

Four kinds of loss: packets that don't decode, packets that decode to nothing, holes in the time stamps, and a missing
end. A hole in the sound counts only where the picture has it too: a recorder may have been muted, and a sound may well
be shorter than its picture.
"""

from dataclasses import dataclass, field

HOLE_SECONDS = 0.5  # less than that is jitter of the recorder's clock
EDIT_SECONDS = 3600.0  # more than that is another recording's clock, not a hole


@dataclass
class Timeline:
    """Fed with every packet in file order. Without `has_holes`, gaps in the time stamps are the recording's own."""

    has_holes: bool = True
    sound_end: float | None = None  # where the sound heard so far ends
    any_end: float | None = None  # the same over sound and picture
    undecodable: float = 0.0
    holes: float = 0.0
    _empty: float = 0.0
    _named: float = 0.0
    _open_hole: float = field(default=0.0, repr=False)

    def saw(self, start: float, seconds: float, is_sound: bool) -> None:
        """A packet of the sound or of a picture, from `start` on for `seconds` (0 when it doesn't say)."""
        if self.has_holes and self.any_end is not None and HOLE_SECONDS < start - self.any_end < EDIT_SECONDS:
            self._open_hole += start - self.any_end
        self.any_end = max(self.any_end or start, start + seconds)
        if is_sound:
            if self.sound_end is not None and start - self.sound_end > HOLE_SECONDS:
                self.holes += min(self._open_hole, start - self.sound_end)
            self._open_hole = 0.0
            self.sound_end = max(self.sound_end or start, start + seconds)
            self._named += seconds

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
