"""`python -m bench.price REVISION [ROUNDS]`: what upload and conversion cost beside those of another revision.

Both run at once on the same private servers and take turns; only the one that is asked has anything to do. The bar is
for the median of the rounds' ratios. The exit code is 1 when one is missed. Dependencies are this checkout's for both.
"""

import io
import json
import shutil
import statistics
import subprocess
import sys
import time
import wave
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.goods import Goods, open_account
from bench.rows import Row, median_ratio, table
from bench.serving import ROOT, Served
from functions.common.events import CONTENT_TYPE, VIDEO_UPLOADED, Event
from functions.common.files import MP3S
from local.stack import Stack

ROUNDS = 15
BAR = "<= 1.05"
FOLDER = ROOT / ".bench"

RATE = 48_000  # Hz
SOUNDS = {"a second": 1, "ten minutes, 115 MB": 600}


@dataclass(frozen=True)
class Side:
    """Upload and convert of one revision."""

    upload: Served
    convert: Served

    def run(self, goods: Goods, sound: bytes) -> tuple[float, float]:
        """One job from its upload to its MP3, which is removed: seconds until the 202, seconds of the conversion."""
        started = time.monotonic()
        status, answer = self.upload.call("POST", "/v1/jobs?filename=price.wav", sound, goods.bearer)
        uploaded = time.monotonic()
        assert status == 202, answer
        job_id = json.loads(answer)["id"]
        body = Event(VIDEO_UPLOADED, job_id).body()
        begun = time.monotonic()
        status, answer = self.convert.call("POST", "/", body, {"Content-Type": CONTENT_TYPE})
        converted = time.monotonic()
        assert status == 200, answer
        job = goods.mongo.database["jobs"].find_one_and_delete({"_id": job_id})
        assert job
        assert job["state"] == "done", job
        goods.remove(MP3S, job["mp3"]["file_id"])
        return uploaded - started, converted - begun


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The tree of another revision, while it is needed."""
    folder = FOLDER / "before"
    _git("worktree", "add", "--force", "--detach", str(folder), revision)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def rows(goods: Goods, before: Path, rounds: int) -> Iterator[Row]:
    """Two rows for each of SOUNDS; who begins changes from round to round, and the first round only warms up."""
    with ExitStack() as stack:
        ours, theirs = (
            Side(*(stack.enter_context(goods.serving(name, root=root)) for name in ("upload", "convert")))
            for root in (ROOT, before)
        )
        for what, seconds in SOUNDS.items():
            sound = made_sound(seconds)
            taken: dict[Side, list[tuple[float, float]]] = {ours: [], theirs: []}
            for round_ in range(rounds + 1):
                for side in (ours, theirs) if round_ % 2 else (theirs, ours):
                    taken[side].append(side.run(goods, sound))
            for step, name in enumerate(("upload", "conversion")):
                one, other = ([times[step] for times in taken[side][1:]] for side in (ours, theirs))
                times = f"{statistics.median(one) * 1000:.0f} ms against {statistics.median(other) * 1000:.0f} ms"
                yield Row(f"{name} of {what} ÷ the other revision's", median_ratio(one, other), BAR, "x", times)


def made_sound(seconds: int) -> bytes:
    """A WAV file, stereo: noise, a second of it repeated."""
    source, made = Random(1), io.BytesIO()
    second = array("h", (source.randrange(-8000, 8000) for _ in range(2 * RATE))).tobytes()
    with wave.open(made, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(second * seconds)
    return made.getvalue()


def main(revision: str, rounds: int = ROUNDS) -> int:
    """Measures and prints; the exit code."""
    home = FOLDER / "price"
    shutil.rmtree(home, ignore_errors=True)
    with checkout(revision) as before, Stack(home, backing_only=True) as backing:
        found = list(rows(open_account(backing), before, rounds))
    shutil.rmtree(home, ignore_errors=True)
    print(table(found))
    return 0 if all(row.passed for row in found) else 1


def _git(*words: str) -> None:
    subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:3])))
