"""What is done to the samples between decoding and encoding: cut them to size."""

from collections.abc import Iterable, Iterator

from av.audio.frame import AudioFrame

_SAMPLE_BYTES = 4


def cut(frames: Iterable[AudioFrame], first: int, end: int | None) -> Iterator[AudioFrame]:
    """The samples from number `first` up to, not including, `end`. Nothing is asked of `frames` beyond that."""
    position = 0
    for frame in frames:
        begin, stop = max(0, first - position), frame.samples if end is None else min(frame.samples, end - position)
        position += frame.samples
        if begin < stop:
            yield frame if stop - begin == frame.samples else _part(frame, begin, stop)
        if end is not None and position >= end:
            return


def _part(frame: AudioFrame, begin: int, stop: int) -> AudioFrame:
    part = AudioFrame(frame.format.name, frame.layout.name, stop - begin)
    part.sample_rate = frame.sample_rate
    for target, source in zip(part.planes, frame.planes, strict=True):
        data = bytes(source)[_SAMPLE_BYTES * begin : _SAMPLE_BYTES * stop]
        target.update(data + bytes(target.buffer_size - len(data)))
    return part
