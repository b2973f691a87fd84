"""Rows: videos from GridFS to GridFS through convert, beside ffmpeg on a local file and beside the original's way."""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import ways
from bench.contest import FFMPEG, ONE_CORE, ONE_THREAD, ROUNDS, TWO, Contest, ours
from bench.goods import Goods
from bench.rows import Point, Row, median_ratio
from bench.video import media
from functions.common.files import CHUNK_BYTES
from functions.convert.child import convert


def conversions(goods: Goods) -> Iterator[Row | Point]:
    """The two files whose bars are against ffmpeg."""
    for name, label, two, read in (
        ("hd-fine.mp4", "10 min 1080p, finely interleaved", "<= 0.75", "<= 101"),
        ("hd-1s.mp4", "10 min 1080p, interleaved by the second", "<= 0.65", "<= 47"),
    ):
        contest = Contest(name, label, (ONE_CORE, ONE_THREAD, TWO)).run(goods)
        yield from contest.against_ffmpeg({ONE_CORE: "<= 1.1", ONE_THREAD: "<= 1.1", TWO: two})
        yield contest.against_original(">= 2")
        yield contest.share_read(read)
        yield from contest.points()


def phone(goods: Goods) -> Iterator[Row | Point]:
    """The file whose bar is against the original."""
    contest = Contest("4k-1s.mp4", "3 min 4K, as a phone writes it", (ONE_CORE, TWO), original_rounds=ROUNDS).run(goods)
    yield contest.against_original(">= 5")
    yield from contest.against_ffmpeg({TWO: "<= 1.0"})
    yield contest.share_read("<= 6.5")
    yield from contest.points()


def talk(goods: Goods) -> Iterator[Row | Point]:
    """Much sound and hardly a picture. The original takes so long that one round must do."""
    contest = Contest("talk.mp4", "2 h talk, tiny picture", original_rounds=1).run(goods)
    yield from contest.against_ffmpeg({TWO: "<= 0.75"})
    yield contest.against_original(">= 2")
    yield from contest.points()


def carried(goods: Goods) -> Iterator[Row | Point]:
    """MP3 that lies in a video, which is read whole."""
    contest = Contest("mp3.mkv", "10 min 1080p, MP3 in mkv").run(goods)
    mine, encoding = contest.seconds[ours(TWO)], contest.seconds[FFMPEG]
    times = f"{statistics.median(mine):.2f} against {statistics.median(encoding):.2f} s"
    name = "MP3 in mkv, GridFS to GridFS: ffmpeg's time to encode it ÷ ours"
    yield Row(name, median_ratio(encoding, mine), ">= 2.5", "x", times)
    yield contest.against_original(">= 2")
    yield from contest.points()


def containers(goods: Goods) -> Iterator[Row | Point]:
    """Two more that are read whole, as they have no index."""
    for name, label in (("opus.webm", "10 min webm, Opus"), ("hd.ts", "10 min 1080p, ts")):
        contest = Contest(name, label).run(goods)
        yield from contest.against_ffmpeg({TWO: "<= 1.0"})
        yield contest.against_original(">= 2")
        yield from contest.points()


def copies(_goods: Goods) -> Iterator[Row]:
    """MP3 that is taken over, in the cage, without a database: beside encoding it."""
    path = media("sound.mp3")
    mine, encoding = [], []
    for _ in range(ROUNDS):
        mine.append(_copied(path))
        encoding.append(ways.ffmpeg(path))
    times = f"{statistics.median(mine):.2f} against {statistics.median(encoding):.2f} s"
    name = "10 min of MP3, file to file: ffmpeg's time to encode it ÷ ours"
    yield Row(name, median_ratio(encoding, mine), ">= 20", "x", times)


def _copied(path: Path) -> float:
    started = time.monotonic()
    with path.open("rb") as source, tempfile.TemporaryFile() as target:

        def fetch(numbers: Sequence[int]) -> list[bytes]:
            return [os.pread(source.fileno(), CHUNK_BYTES, number * CHUNK_BYTES) for number in numbers]

        def write(data: bytes) -> None:
            target.write(data)

        length = path.stat().st_size
        result = convert(fetch, length, CHUNK_BYTES, write, lambda _: None, started + 60, threading.Event())
        target.seek(0)
        target.write(result.head)
    assert result.mode == "copy"
    return time.monotonic() - started
