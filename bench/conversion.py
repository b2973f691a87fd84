"""Rows: a 10 min video from GridFS to GridFS through convert, against ffmpeg from a file to a file."""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.goods import MB, Goods, media_like
from bench.memory import Peak
from bench.rows import Row, median_ratio
from bench.serving import ROOT
from bench.starting import send_event
from bench.video import video
from functions.common.files import MP3S

ROUNDS = 5


def conversions(goods: Goods) -> Iterator[Row]:
    """In turns; the video is stored anew each time, as convert removes it."""
    path = video(ROOT / ".bench" / "video-10min.mp4")
    ours, ffmpeg, growth = [], [], []
    with goods.serving("convert") as convert:
        send_event(convert, goods.finished_job(media_like(1000)))
        for _ in range(ROUNDS):
            job = goods.queued_job(_pieces(path))
            with Peak(convert.pid) as peak:
                started = time.monotonic()
                status, answer = send_event(convert, job)
                ours.append(time.monotonic() - started)
            growth.append(peak.growth)
            done = goods.jobs.get(job["_id"], goods.account)
            assert status == 200, answer
            assert done
            assert done["state"] == "done", done
            goods.remove(MP3S, done["mp3"]["file_id"])
            ffmpeg.append(_ffmpeg(path))
    times = f"{statistics.median(ours):.1f} s against {statistics.median(ffmpeg):.1f} s"
    yield Row("conversion of 10 min, 1080p ÷ ffmpeg -q:a 2, wall", median_ratio(ours, ffmpeg), "<= 1.3", "x", times)
    what = f"the idle function; the video has {path.stat().st_size / MB:.0f} MB"
    yield Row("conversion of 10 min, memory of the tree above idle", max(growth), "<= 130", "MiB", what)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(MB):
            yield piece


def _ffmpeg(path: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        words = ["-i", str(path), "-vn", "-c:a", "libmp3lame", "-q:a", "2", f"{folder}/out.mp3"]
        started = time.monotonic()
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *words], check=True)
        return time.monotonic() - started
