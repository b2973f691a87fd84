"""Decoded samples as the encoder takes them: libav's own conversion, asked for results once there is enough to give.

PyAV's AudioResampler asks after each frame of 1024 samples, which costs as much as the conversion itself.
"""

from collections.abc import Iterator
from typing import cast

from av.audio.frame import AudioFrame
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as Ended
from av.filter import Graph
from av.filter.context import FilterContext

from functions.convert.lame import SLICE_SAMPLES


class Fit:
    """For frames of one kind, that of `like`: signed 32-bit planar samples at `rate` in SLICE_SAMPLES a frame.

    All calls raise FFmpegError or ValueError where libav cannot convert that kind.
    """

    def __init__(self, like: AudioFrame, layout: str, rate: int) -> None:
        graph = Graph()
        graph.threads = 1  # the cage allows no more
        known = {"sample_rate": like.sample_rate, "sample_fmt": like.format.name, "channel_layout": like.layout.name}
        if like.time_base:
            known["time_base"] = like.time_base
        steps = [graph.add("abuffer", **{name: str(value) for name, value in known.items()})]
        steps.append(graph.add("aformat", f"sample_fmts=s32p:channel_layouts={layout}:sample_rates={rate}"))
        steps += [graph.add("asetnsamples", f"n={SLICE_SAMPLES}:p=0"), graph.add("abuffersink")]
        graph.link_nodes(*steps)
        graph.configure()
        self._graph, self._source, self._sink = graph, steps[0], steps[-1]
        self._waiting = 0

    def through(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """What there is to give after `frame`; often nothing."""
        self._source.push(frame)
        self._waiting += frame.samples
        if self._waiting >= SLICE_SAMPLES:
            self._waiting = 0
            yield from pulled(self._sink)

    def rest(self) -> Iterator[AudioFrame]:
        """What is left, after the last frame."""
        self._source.push(None)
        yield from pulled(self._sink)


def pulled(sink: FilterContext) -> Iterator[AudioFrame]:
    """All frames that a graph has ready at its end."""
    try:
        while True:
            yield cast(AudioFrame, sink.pull())
    except (NothingYet, Ended):
        return
