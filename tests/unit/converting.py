"""A convert function over fakes, with a child of the test's own; the fixture `convert_world` makes one."""

from collections.abc import Callable
from typing import Any

from cloudevents.http import CloudEvent
from werkzeug.exceptions import HTTPException

from functions.common.draining import Draining
from functions.common.files import MP3S, VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.convert import handler
from functions.convert.child import Result
from tests.contracts import Clock, begun

VIDEO = b"v" * 300_000
MP3 = b"????" + b"m" * 500_000


class World:
    """A convert function over fakes; `ends` says how the child ends once it has written the MP3."""

    def __init__(self, mongo: Any, publisher: Any) -> None:
        self.mongo, self.publisher, self.clock = mongo, publisher, Clock()
        self.jobs = Jobs(lambda: mongo.database["jobs"], 60, self.clock)
        self.ends: Callable[[], None] = lambda: None
        self.conversions = 0
        self.asked: list[tuple[Any, bool]] = []
        self.draining = Draining()
        self.mp3s = Bucket(mongo, MP3S)
        self.services = handler.Services(
            self.jobs,
            Bucket(mongo, VIDEOS),
            self.mp3s,
            publisher,
            480,
            560,
            7,
            convert=self.convert,
            draining=self.draining,
        )

    def convert(
        self,
        fetch: Any,
        length: int,
        chunk: int,
        write: Any,
        progress: Any,
        deadline: float,
        stopped: Any,
        options: Any,
        *,
        may_copy: bool = True,
    ) -> Any:
        self.asked.append((options, may_copy))
        self.conversions += 1
        self.stopped = stopped
        assert b"".join(fetch(range(-(-length // chunk)))) == VIDEO
        write(MP3)
        progress(50)
        self.ends()
        return Result(b"head", 1.0, 48_000, 48_000, 2, "aac", 190_000, len(VIDEO), len(MP3), 0.1, 1 << 20, "encode")

    def queued(self, options: dict[str, Any] | None = None, filename: str = "clip.mp4") -> str:
        run = begun(self.jobs, filename=filename)
        writer = Bucket(self.mongo, VIDEOS).writer(run.file_id)
        writer.write(VIDEO)
        writer.close(filename, {})
        self.jobs.uploaded(run, len(VIDEO), "00", options)
        return run.job_id

    def deliver(self, job_id: str) -> int:
        """Delivers the event; the status that the source would see."""
        event = CloudEvent({"type": "video.uploaded.v1", "source": "/jobs"}, {"job_id": job_id})
        try:
            handler.handle(event, self.services)
        except HTTPException as error:
            return error.code or 500
        return 200

    def job(self, job_id: str) -> dict[str, Any]:
        job = self.jobs.get(job_id, "owner-1")
        assert job is not None
        return job
