"""Rows: what the cage costs, in processor time, against the same child without it."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

from bson import ObjectId

from bench import ways
from bench.goods import Goods
from bench.rows import Row, median_ratio
from bench.serving import ROOT
from bench.video import media
from functions.common.files import VIDEOS

ROUNDS = 7


def cage(goods: Goods) -> Iterator[Row]:
    """With the processor time of the parent and of its child, but for starting Python, which both need."""
    for name, label, bar in (
        ("hd-fine.mp4", "10 min 1080p, finely interleaved", "<= 12"),
        ("4k-1s.mp4", "3 min 4K", "<= 3"),
    ):
        path, video = media(name), ObjectId()
        goods.store(VIDEOS, video, ways.pieces(path))
        words = [sys.executable, "-m", "bench.turns", goods.backing.mongo_url]
        words += [str(video), str(path.stat().st_size), str(ROUNDS)]
        said = subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.PIPE, env={}).stdout
        goods.remove(VIDEOS, video)
        rounds = json.loads(said)
        inside, outside = ([spent[way] for spent in rounds] for way in ("caged", "uncaged"))
        told = f"{statistics.median(inside):.2f} against {statistics.median(outside):.2f} s of processor time"
        yield Row(f"cage, {label}: more processor time", 100 * (median_ratio(inside, outside) - 1), bar, "%", told)
