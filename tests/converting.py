"""The real converting child on bytes, by itself or with the function around it; no server needed."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cloudevents.http import CloudEvent
from werkzeug.exceptions import HTTPException

from functions.common.draining import Draining
from functions.common.files import MP3S, VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.convert import handler
from functions.convert.child import NotCopyable, Result, convert
from tests.contracts import begun, known
from tests.fakes import FakeMongo, FakePublisher

CHUNK = 65_536  # small, so that small files have several


@dataclass
class Conversion:
    """One run over `data`. Set `on_progress` and the like before `run`; `mp3` is the file as it would be stored."""

    data: bytes
    chunk: int = CHUNK
    seconds: float = 60
    on_progress: Callable[[int], None] = lambda percent: None
    on_fetch: Callable[[int], None] = lambda first: None
    on_write: Callable[[bytes], None] = lambda piece: None
    options: dict[str, Any] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    percents: list[int] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    stored: bytearray = field(default_factory=bytearray)

    def run(self) -> Result:
        """Converts; raises what convert raises."""
        deadline = time.monotonic() + self.seconds
        convert_it = partial(convert, self._fetch, len(self.data), self.chunk, self._write, self._progress, deadline)
        try:
            result = convert_it(self.stopped, self.options)
        except NotCopyable:
            self.stored.clear()
            result = convert_it(self.stopped, self.options, may_copy=False)
        self.stored[: len(result.head)] = result.head
        return result

    @property
    def mp3(self) -> bytes:
        return bytes(self.stored)

    def _fetch(self, numbers: Sequence[int]) -> list[bytes]:
        self.on_fetch(numbers[0])
        self.batches.append(len(numbers))
        return [self.data[n * self.chunk : (n + 1) * self.chunk] for n in numbers]

    def _write(self, piece: bytes) -> None:
        self.on_write(piece)
        self.stored += piece

    def _progress(self, percent: int) -> None:
        self.percents.append(percent)
        self.on_progress(percent)


class Function:
    """The convert function, its jobs in fakes."""

    def __init__(self, mongo: FakeMongo, publisher: FakePublisher, conversion_seconds: float = 60) -> None:
        self.mongo, self.publisher = mongo, publisher
        self.jobs = Jobs(lambda: mongo.database["jobs"], 60)
        self.videos, self.mp3s = Bucket(mongo, VIDEOS), Bucket(mongo, MP3S)
        self._services = handler.Services(
            self.jobs, self.videos, self.mp3s, publisher, conversion_seconds, 560, 7, draining=Draining()
        )

    def queued(self, data: bytes, options: dict[str, Any] | None = None) -> str:
        """A job for that video; its id."""
        run = begun(self.jobs)
        writer = self.videos.writer(run.file_id)
        writer.write(data)
        writer.close("a.mp4", {})
        self.jobs.uploaded(run, len(data), "00", options)
        return run.job_id

    def deliver(self, job_id: str) -> int:
        """Delivers the job's event; the status that the source would see."""
        event = CloudEvent({"type": "video.uploaded.v1", "source": "/jobs"}, {"job_id": job_id})
        try:
            handler.handle(event, self._services)
        except HTTPException as error:
            return error.code or 500
        return 200

    def job(self, job_id: str) -> dict[str, Any]:
        return known(self.jobs, job_id)

    def mp3(self, job_id: str) -> bytes:
        mp3 = self.job(job_id)["mp3"]
        return b"".join(self.mp3s.read(mp3["file_id"], mp3["length"], 0, mp3["length"]))


def children(of: int | None = None) -> list[int]:
    """The process ids of the converting children of process `of` (this one)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        if int(parent) == (of or os.getpid()) and state != "Z" and b"functions.convert.worker" in command:
            found.append(int(stat.parent.name))
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process, zombies aside."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether `holds` becomes true before `seconds` are over."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
