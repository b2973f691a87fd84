"""The three ways from a video to an MP3: this product's, ffmpeg's from file to file, and the one that it replaces."""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from bson import ObjectId

from bench.goods import MB, Goods
from bench.serving import ROOT, Served
from bench.starting import send_event
from functions.common.files import MP3S
from functions.common.mongo import Document

RESULT_LASTS = timedelta(days=7)
"""From the moment that a job is done until its MP3 expires: convert must be served with SETTINGS."""
SETTINGS = {"RESULT_DAYS": str(RESULT_LASTS.days)}
ORIGINAL = ROOT / ".bench" / "venv" / "bin" / "python"


def pieces(path: Path) -> Iterator[bytes]:
    """What is in the file."""
    with path.open("rb") as file:
        while piece := file.read(MB):
            yield piece


def ours(goods: Goods, convert: Served, path: Path) -> tuple[float, Document]:
    """From GridFS to GridFS: seconds from the event until the job is done, and the job.

    Storing the video before isn't counted, nor is the removal of the video behind it: the other ways leave theirs.
    """
    job = goods.queued_job(pieces(path))
    started = datetime.now(UTC)
    status, answer = send_event(convert, job)
    done = goods.jobs.get(job["_id"], goods.account)
    assert status == 200, answer
    assert done
    assert done["state"] == "done", done
    goods.remove(MP3S, done["mp3"]["file_id"])
    return (done["expires"] - RESULT_LASTS - started).total_seconds(), done


def ffmpeg(path: Path) -> float:
    """From a local file to a local file, at the quality that this product chooses: seconds."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["-i", str(path), "-vn", "-c:a", "libmp3lame", "-q:a", "2", f"{folder}/out.mp3"]
        started = time.monotonic()
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *words], check=True)
        return time.monotonic() - started


@dataclass(frozen=True)
class Original:
    """The process of bench/original.py, which waits for videos."""

    process: "subprocess.Popen[str]"
    answers: IO[str]

    def convert(self, goods: Goods, video_id: ObjectId) -> float:
        """From GridFS to GridFS: seconds. The video stays."""
        assert self.process.stdin
        self.process.stdin.write(f"{video_id}\n")
        self.process.stdin.flush()
        answer = json.loads(self.answers.readline())
        goods.remove(MP3S, ObjectId(answer["mp3"]))
        return float(answer["seconds"])


@contextmanager
def original(goods: Goods) -> Iterator[Original]:
    """Ready for the first video."""
    command = [str(ORIGINAL), "-m", "bench.original", goods.backing.mongo_url]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield Original(process, process.stdout)
        finally:
            process.stdin.close()
