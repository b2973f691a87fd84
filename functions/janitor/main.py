"""One-shot program `python -m functions.janitor.main [--full]`: repairs what kills, outages and lost messages leave.

Run it once a minute (a CronJob on a cluster, a timer on one machine). Safe to run twice at once and to be killed
anywhere: every step is a compare-and-set or can be done again. `--full`, and any run in the first minute of an hour,
also looks for files that no job names.
"""

import logging
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime

from functions.common import logs, settings
from functions.common.files import MP3S, VIDEOS, Bucket
from functions.common.mongo import AWAY, Mongo
from functions.common.publisher import Publisher
from functions.janitor import parking, rounds, survey
from functions.janitor.upkeep import Times

log = logging.getLogger("functions.janitor")


@dataclass(frozen=True)
class Settings:
    """What the janitor needs; the times are the design's, in seconds, and tests shorten them."""

    mongo_url: str = field(repr=False)
    rabbitmq_url: str = field(repr=False)
    pending_seconds: float = 60
    dead_upload_seconds: float = Times.dead_upload
    redrive_seconds: float = Times.redrive
    orphan_seconds: float = 3600
    log_level: str = "INFO"


def main(full: bool) -> None:
    """One round; ends with status 1 when a setting is missing or MongoDB is away."""
    try:
        loaded = settings.load(Settings)
    except settings.SettingsError as error:
        sys.exit(str(error))
    logs.configure("janitor", loaded.log_level)
    mongo = Mongo(loaded.mongo_url)
    times = Times(dead_upload=loaded.dead_upload_seconds, redrive=loaded.redrive_seconds)
    jobs = survey.Survey(lambda: mongo.database["jobs"], times)
    buckets = {name: Bucket(mongo, name) for name in (VIDEOS, MP3S)}
    publisher = Publisher(loaded.rabbitmq_url)
    try:
        done = rounds.tidy(jobs, buckets)
        done["published"] = rounds.publish_pending(jobs, publisher, loaded.pending_seconds)
        if full or datetime.now(UTC).minute == 0:
            done["orphans"] = rounds.remove_orphans(jobs, buckets, loaded.orphan_seconds)
        depths: dict[str, int] = {}
        try:
            done["parked"] = parking.park(loaded.rabbitmq_url)
            depths = survey.queues(loaded.rabbitmq_url)
        except parking.UNREACHABLE as error:
            log.warning("RabbitMQ is away", extra={"reason": str(error) or type(error).__name__})
        log.info(survey.MESSAGE, extra={"jobs": jobs.jobs(), "queues": depths})
    except AWAY as error:
        log.error("MongoDB is away", extra={"reason": str(error)})
        sys.exit(1)
    finally:
        publisher.close()
    if any(done.values()):
        log.info("a round was needed", extra={name: count for name, count in done.items() if count})


if __name__ == "__main__":
    main(full="--full" in sys.argv[1:])
