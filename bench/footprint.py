"""Rows: the memory of convert and its child above the idle function, from a file of 10 MB to one of 2 GB."""

from collections.abc import Iterator

from bson import ObjectId

from bench import ways
from bench.contest import ORIGINAL, TWO, ours
from bench.goods import Goods, media_like
from bench.memory import Peak
from bench.rows import Point, Row
from bench.starting import send_event
from bench.video import media
from functions.common.files import VIDEOS

ROUNDS = 2
SIZES = {"10mb.mp4": "10 MB", "hd-fine.mp4": "390 MB", "4k-1s.mp4": "890 MB", "2gb.mp4": "2 GB"}
SMALL, LARGE = "10mb.mp4", "2gb.mp4"


def memory(goods: Goods) -> Iterator[Row | Point]:
    """The most of some rounds each; the original once, and not with the largest, which would take more than 4 GB."""
    growth: dict[str, float] = {}
    with goods.serving("convert", ways.SETTINGS, TWO) as convert:
        send_event(convert, goods.finished_job(media_like(1000)))
        for _ in range(ROUNDS):
            for name in SIZES:
                with Peak(convert.pid) as peak:
                    ways.ours(goods, convert, media(name))
                growth[name] = max(growth.get(name, 0.0), peak.growth)
    for name, size in SIZES.items():
        yield Point("memory", size, ours(TWO), growth[name])
        if name != LARGE:
            yield Point("memory", size, ORIGINAL, _of_the_original(goods, name))
    yield Row("memory of the tree, largest of all files", max(growth.values()), "<= 130", "MiB", "the idle function")
    told = f"{growth[LARGE]:.0f} against {growth[SMALL]:.0f} MiB"
    yield Row("memory of the tree: a video of 2 GB ÷ one of 10 MB", growth[LARGE] / growth[SMALL], "<= 1.1", "x", told)


def _of_the_original(goods: Goods, name: str) -> float:
    video_id = ObjectId()
    goods.store(VIDEOS, video_id, ways.pieces(media(name)))
    with ways.original(goods) as original, Peak(original.process.pid) as peak:
        original.convert(goods, video_id)
    goods.remove(VIDEOS, video_id)
    return peak.growth
