"""Conversions with and without the cage in turns: `python -m bench.turns MONGO_URL VIDEO_ID LENGTH ROUNDS`.

A process of its own, as all its processor time and its children's is counted. Prints as JSON a list of rounds, each the
seconds of processor time `caged` and `uncaged`, and those of a child's `start`, which are in neither.
"""

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from bson import ObjectId

from bench.serving import ROOT
from functions.common.files import CHUNK_BYTES, MP3S, VIDEOS, Bucket
from functions.common.mongo import Mongo
from functions.convert.child import convert
from functions.convert.cores import cores

DEADLINE_SECONDS = 300.0


def caged(mongo: Mongo, video: ObjectId, length: int) -> ObjectId:
    """One conversion as the function does it; the MP3's id."""
    videos, writer = Bucket(mongo, VIDEOS), Bucket(mongo, MP3S).writer(ObjectId())

    def fetch(numbers: Sequence[int]) -> list[bytes]:
        return videos.batch(video, length, numbers)

    deadline = time.monotonic() + DEADLINE_SECONDS
    result = convert(fetch, length, CHUNK_BYTES, writer.write, lambda _: None, deadline, threading.Event())
    writer.finish(result.head)
    return writer.file_id


def uncaged(url: str, video: ObjectId, length: int) -> tuple[ObjectId, float, float]:
    """One conversion by bench/uncaged.py: the MP3's id, and its `start` and `driver`."""
    words = [sys.executable, "-P", "-s", "-m", "bench.uncaged", url, str(video), str(length), str(cores())]
    child = subprocess.run(words, env={"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    said = json.loads(child.stdout)
    return ObjectId(said["mp3"]), said["start"], said["driver"]


def main(url: str, video: ObjectId, length: int, rounds: int) -> None:
    """All rounds; the first only warms."""
    mongo = Mongo(url)
    found = []
    for _ in range(rounds + 1):
        begun = _spent()
        in_the_cage = caged(mongo, video, length)
        between = _spent()
        outside, start, driver = uncaged(url, video, length)
        ended = _spent()
        for mp3 in (in_the_cage, outside):
            Bucket(mongo, MP3S).delete(mp3)
        spent = {"caged": between - begun - start, "uncaged": ended - between - start - driver, "start": start}
        found.append(spent)
    print(json.dumps(found[1:]))


def _spent() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


if __name__ == "__main__":
    main(sys.argv[1], ObjectId(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
