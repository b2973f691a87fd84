"""One-shot program `python -m functions.janitor.main`: publishes what waits in an outbox, ends uploads that died.

Run it once a minute (a CronJob on a cluster, a timer on one machine). Safe to run twice at once and to be killed.
"""

import logging
import sys
from dataclasses import dataclass, field

from functions.common import logs, outbox, settings
from functions.common.files import VIDEOS, Bucket
from functions.common.jobs import Jobs
from functions.common.mongo import AWAY, Mongo
from functions.common.publisher import Publisher

log = logging.getLogger("functions.janitor")


@dataclass(frozen=True)
class Settings:
    """What the janitor needs; an outbox entry younger than `pending_seconds` is left to who wrote it.

    An upload is ended once its lease has been dead for `dead_upload_seconds`.
    """

    mongo_url: str = field(repr=False)
    rabbitmq_url: str = field(repr=False)
    pending_seconds: float = 60
    dead_upload_seconds: float = 900
    log_level: str = "INFO"


def publish_pending(jobs: Jobs, publisher: Publisher, seconds: float) -> int:
    """Publishes every event that has been pending for longer than `seconds`; stops at the first that can't be.

    Returns how many were published.
    """
    published = 0
    for queue in ("video", "mp3"):
        for job in jobs.pending(queue, seconds):
            if not outbox.announce(jobs, publisher, job, queue):
                return published
            published += 1
    return published


def end_dead_uploads(jobs: Jobs, videos: Bucket, seconds: float) -> int:
    """Removes the files and records of uploads that died longer than `seconds` ago. Returns how many."""
    ended = 0
    for run in jobs.dead_uploads(seconds):
        # The record last: it is what names the file.
        videos.delete(run.job["video"]["file_id"])
        ended += jobs.discard(run)
    return ended


def main() -> None:
    """One round; ends with a message and status 1 when a setting is missing or MongoDB is away."""
    try:
        loaded = settings.load(Settings)
        logs.configure("janitor", loaded.log_level)
        mongo = Mongo(loaded.mongo_url)
        jobs = Jobs(lambda: mongo.database["jobs"])
        ended = end_dead_uploads(jobs, Bucket(mongo, VIDEOS), loaded.dead_upload_seconds)
        published = publish_pending(jobs, Publisher(loaded.rabbitmq_url), loaded.pending_seconds)
    except settings.SettingsError as error:
        sys.exit(str(error))
    except AWAY as error:
        log.error("MongoDB is away", extra={"reason": str(error)})
        sys.exit(1)
    if published or ended:
        log.info("a round was needed", extra={"published": published, "ended_uploads": ended})


if __name__ == "__main__":
    main()
