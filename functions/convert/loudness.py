"""Loudness by EBU R128: measured with the system's libebur128, changed with libav's filters."""

import ctypes
import functools
import math
from collections.abc import Iterable, Iterator
from ctypes import POINTER, byref, c_double, c_int, c_size_t, c_uint, c_ulong, c_void_p

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.filter import Graph

from functions.convert.fitting import pulled

LIBRARY = "libebur128.so.1"
PEAK_DB = -1.0  # dBFS; EBU R128's highest permitted peak
_INTEGRATED, _TRUE_PEAK = 0b101, 0b110001  # modes, from ebur128.h


class Meter:
    """Integrated loudness (LUFS) and true peak (dBTP) of what `through` lets pass."""

    def __init__(self, rate: int, channels: int) -> None:
        self._library = load()
        self._channels = channels
        self._state = c_void_p(self._library.ebur128_init(channels, rate, _INTEGRATED | _TRUE_PEAK))
        if not self._state:
            raise MemoryError("ebur128_init")
        self._interleave = AudioResampler("s32", "mono" if channels == 1 else "stereo", rate)

    def through(self, frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
        """The frames as they are, measured."""
        for frame in frames:
            for mixed in self._interleave.resample(frame):
                self._library.ebur128_add_frames_int(self._state, mixed.planes[0].buffer_ptr, mixed.samples)
            yield frame

    @property
    def loudness(self) -> float | None:
        """None where there was nothing but silence."""
        found = c_double()
        self._library.ebur128_loudness_global(self._state, byref(found))
        return round(found.value, 2) if math.isfinite(found.value) else None

    @property
    def peak(self) -> float:
        """The highest of all channels; minus infinity for silence."""
        peaks = []
        for channel in range(self._channels):
            found = c_double()
            self._library.ebur128_true_peak(self._state, channel, byref(found))
            peaks.append(found.value)
        return 20 * math.log10(max(peaks)) if max(peaks) > 0 else -math.inf


def amplified(
    frames: Iterable[AudioFrame], rate: int, channels: int, gain: float, is_limited: bool
) -> Iterator[AudioFrame]:
    """The frames, louder by `gain` dB; if `is_limited`, peaks are held below PEAK_DB. As many samples come out."""
    layout = "mono" if channels == 1 else "stereo"
    graph = Graph()
    graph.threads = 1  # the cage allows no more
    source = graph.add_abuffer(sample_rate=rate, format="s32p", layout=layout)
    steps = [source, graph.add("volume", f"volume={gain:.3f}dB:precision=double")]
    if is_limited:
        steps.append(graph.add("alimiter", f"limit={10 ** (PEAK_DB / 20):.4f}:level=0:latency=1"))
    steps += [graph.add("aformat", "sample_fmts=s32p"), graph.add("abuffersink")]
    graph.link_nodes(*steps)
    graph.configure()
    sink = steps[-1]
    for frame in frames:
        frame.pts = None  # the filters count by themselves
        source.push(frame)
        yield from pulled(sink)
    source.push(None)
    yield from pulled(sink)


@functools.cache
def load() -> ctypes.CDLL:
    """The library; OSError where it is missing."""
    library = ctypes.CDLL(LIBRARY)
    signatures: dict[str, tuple[object, list[object]]] = {
        "ebur128_init": (c_void_p, [c_uint, c_ulong, c_int]),
        "ebur128_add_frames_int": (c_int, [c_void_p, c_void_p, c_size_t]),
        "ebur128_loudness_global": (c_int, [c_void_p, POINTER(c_double)]),
        "ebur128_true_peak": (c_int, [c_void_p, c_uint, POINTER(c_double)]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
