"""One file converted in all three ways, in turns, so that what slows a round slows all that it compares."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bson import ObjectId

from bench import ways
from bench.goods import MB, Goods, media_like
from bench.rows import Point, Row, median_ratio
from bench.serving import Share
from bench.starting import send_event
from bench.video import media
from functions.common.files import VIDEOS
from functions.common.mongo import Document

ROUNDS = 5
ONE_CORE, ONE_THREAD, TWO = Share(cores=1), Share(threads=1), Share(cores=2)
FFMPEG, ORIGINAL = "ffmpeg -q:a 2, from a local file to a local file", "the original's way"


@dataclass
class Contest:
    """The rounds of one file: `seconds` by way, `done` the jobs of ours.

    `label` names the file for a reader, `shares` are those of the machine that ours gets, the largest last;
    `original_rounds` says in how many rounds the original takes part.
    """

    name: str
    label: str
    shares: Sequence[Share] = (TWO,)
    original_rounds: int = 3
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    done: list[Document] = field(default_factory=list)

    def run(self, goods: Goods) -> "Contest":
        """All rounds."""
        path = media(self.name)
        with ExitStack() as stack:
            served = {s: stack.enter_context(goods.serving("convert", ways.SETTINGS, s)) for s in self.shares}
            for convert in served.values():
                send_event(convert, goods.finished_job(media_like(1000)))
            old, video_id = stack.enter_context(ways.original(goods)), ObjectId()
            goods.store(VIDEOS, video_id, ways.pieces(path))
            for round_ in range(ROUNDS):
                for share, convert in served.items():
                    seconds, job = ways.ours(goods, convert, path)
                    self.seconds[ours(share)].append(seconds)
                    self.done.append(job)
                self.seconds[FFMPEG].append(ways.ffmpeg(path))
                if round_ < self.original_rounds:
                    self.seconds[ORIGINAL].append(old.convert(goods, video_id))
            goods.remove(VIDEOS, video_id)
        return self

    def against_ffmpeg(self, bars: Mapping[Share, str]) -> Iterator[Row]:
        """A row for each share that has a bar."""
        for share, bar in bars.items():
            mine, other = self.seconds[ours(share)], self.seconds[FFMPEG]
            times = f"{_median(mine)} against {_median(other)} s"
            yield Row(f"{self.label}, {share}: time ÷ ffmpeg's", median_ratio(mine, other), bar, "x", times)

    def against_original(self, bar: str) -> Row:
        """How many times faster than the original's way, with the largest share."""
        mine, other = self.seconds[ours(self.shares[-1])], self.seconds[ORIGINAL]
        times = f"{_median(mine)} against {_median(other)} s"
        faster = median_ratio(other, mine[: len(other)])
        name = f"{self.label}, {self.shares[-1]}: the original's time ÷ ours"
        return Row(name, faster, bar, "x", times)

    def share_read(self, bar: str) -> Row:
        """How much of the file was fetched."""
        path = media(self.name)
        read = max(job["result"]["bytes_read"] for job in self.done)
        return Row(f"{self.label}: bytes read", 100 * read / path.stat().st_size, bar, "%", size(path))

    def points(self) -> Iterator[Point]:
        """For the picture: each way's time as a multiple of ffmpeg's."""
        for way, seconds in self.seconds.items():
            yield Point("time", self.label, way, median_ratio(seconds, self.seconds[FFMPEG][: len(seconds)]))


def ours(share: Share) -> str:
    """The name of the product's way with such a share."""
    return f"this product, {share}"


def size(path: Path) -> str:
    """How large the file is, in words."""
    return f"a file of {path.stat().st_size / MB:.0f} MB"


def _median(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f}"
