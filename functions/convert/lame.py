"""The system's libmp3lame, called directly: PyAV's wheels carry a build of it that is 2.7 times slower.

Only what a conversion needs. Every call used has its types declared; ctypes would cut pointers to 32 bits otherwise.
"""

import ctypes
import functools
from ctypes import POINTER, c_char, c_char_p, c_float, c_int, c_size_t, c_void_p
from dataclasses import dataclass
from typing import Self

LIBRARY = "libmp3lame.so.0"
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz; what MPEG layer III knows
SLICE_SAMPLES = 8192  # fed at once at most, so that one small buffer holds whatever comes out
_BUFFER_BYTES = SLICE_SAMPLES * 5 // 4 + 7200  # LAME's own worst case, from lame.h; holds the last flush too

_QUALITY = 5  # of 0 (slow) to 9: the same noise as the default for 14 to 20 % less work
_VBR_MTRH = 4  # the VBR method that `-V` and ffmpeg use
_MONO, _JOINT_STEREO = 3, 1
_SAMPLES = c_void_p


class LameError(Exception):
    """The library is missing, or refused a call."""


@functools.cache
def load() -> ctypes.CDLL:
    """The library; LameError where it is missing."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise LameError(f"{LIBRARY} is not installed (Debian: libmp3lame0)") from error
    signatures: dict[str, tuple[object, list[object]]] = {
        "lame_init": (c_void_p, []),
        "lame_set_in_samplerate": (c_int, [c_void_p, c_int]),
        "lame_set_out_samplerate": (c_int, [c_void_p, c_int]),
        "lame_set_num_channels": (c_int, [c_void_p, c_int]),
        "lame_set_mode": (c_int, [c_void_p, c_int]),
        "lame_set_VBR": (c_int, [c_void_p, c_int]),
        "lame_set_VBR_quality": (c_int, [c_void_p, c_float]),
        "lame_set_quality": (c_int, [c_void_p, c_int]),
        "lame_set_brate": (c_int, [c_void_p, c_int]),
        "lame_set_VBR_max_bitrate_kbps": (c_int, [c_void_p, c_int]),
        "lame_set_disable_reservoir": (c_int, [c_void_p, c_int]),
        "lame_set_bWriteVbrTag": (c_int, [c_void_p, c_int]),
        "lame_init_params": (c_int, [c_void_p]),
        "lame_encode_buffer_int": (c_int, [c_void_p, _SAMPLES, _SAMPLES, c_int, POINTER(c_char), c_int]),
        "lame_encode_flush": (c_int, [c_void_p, POINTER(c_char), c_int]),
        "lame_get_lametag_frame": (c_size_t, [c_void_p, POINTER(c_char), c_size_t]),
        "lame_close": (c_int, [c_void_p]),
        "get_lame_very_short_version": (c_char_p, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@dataclass(frozen=True)
class Setting:
    """What to encode: `rate` is one of RATES (Hz), `channels` 1 or 2.

    `vbr` 0 (best) to 9, and `most` the highest bit rate of a frame, in kbit/s; or without `vbr`, `kbits` throughout.
    """

    rate: int
    channels: int
    vbr: float | None = 2
    kbits: int = 0
    most: int = 0


class Encoder:
    """LAME for one stream: `feed` until there is no more, then `flush`, then perhaps `tag`."""

    def __init__(self, setting: Setting, *, is_part: bool = False) -> None:
        """The encoder of a whole file, whose first frame is a placeholder that `tag` must replace; or, if `is_part`, of
        frames that stand each for itself and without a tag."""
        self._lame = load()
        self._buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
        self._handle = self._lame.lame_init()
        if not self._handle:
            raise LameError("lame_init: out of memory")
        settings: dict[str, float] = {
            "in_samplerate": setting.rate,
            "out_samplerate": setting.rate,  # LAME would choose a lower one itself
            "num_channels": setting.channels,
            "mode": _MONO if setting.channels == 1 else _JOINT_STEREO,
            "quality": _QUALITY,
            "disable_reservoir": int(is_part),
            "bWriteVbrTag": int(not is_part),
        }
        if setting.vbr is None:
            settings["brate"] = setting.kbits
        else:
            settings |= {"VBR": _VBR_MTRH, "VBR_quality": setting.vbr}
            if setting.most:
                settings["VBR_max_bitrate_kbps"] = setting.most
        for name, value in settings.items():
            self._checked(f"lame_set_{name}", value)
        self._checked("lame_init_params")

    def feed(self, left: int, right: int, count: int) -> bytes:
        """Encodes `count` samples (at most SLICE_SAMPLES) of each channel; returns what is finished, often nothing.

        `left` and `right` are addresses of signed 32-bit samples; a mono encoder ignores `right`. Integers, since LAME
        aborts the process on floats far above full scale or not numbers, and damaged sources decode to such.
        """
        if count > SLICE_SAMPLES:
            raise LameError(f"{count} samples at once, {SLICE_SAMPLES} is the limit")
        size = self._lame.lame_encode_buffer_int(self._handle, left, right, count, self._buffer, _BUFFER_BYTES)
        if size < 0:
            raise LameError(f"lame_encode_buffer_int: {size}")
        return ctypes.string_at(self._buffer, size) if size else b""

    def flush(self) -> bytes:
        """The rest of the stream, padded to whole frames."""
        size = self._checked("lame_encode_flush", self._buffer, _BUFFER_BYTES)
        return ctypes.string_at(self._buffer, size)

    def tag(self) -> bytes:
        """The Xing/LAME frame, valid after `flush`: frames, bytes, seek table, delay and padding."""
        size = self._lame.lame_get_lametag_frame(self._handle, self._buffer, _BUFFER_BYTES)
        if not 0 < size <= _BUFFER_BYTES:
            raise LameError(f"lame_get_lametag_frame: {size}")
        return ctypes.string_at(self._buffer, size)

    @property
    def version(self) -> bytes:
        """What calls itself so in an MP3's tag, as `LAME3.100`."""
        return bytes(self._lame.get_lame_very_short_version())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees LAME's memory."""
        if self._handle:
            self._lame.lame_close(self._handle)
            self._handle = None

    def _checked(self, name: str, *arguments: object) -> int:
        answer: int = getattr(self._lame, name)(self._handle, *arguments)
        if answer < 0:
            raise LameError(f"{name}: {answer}")
        return answer


def fitting_rate(rate: int) -> int:
    """The rate to encode at: the source's own where MP3 has it, else the next above, at most 48 kHz (or 44.1)."""
    if rate > RATES[-1]:
        return 44100 if rate % 44100 == 0 else 48000
    return next(known for known in RATES if known >= rate)
