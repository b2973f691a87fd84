"""The steps of a round of the janitor; each says how much it found to do."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from functions.common import litter, outbox
from functions.common.files import Bucket
from functions.common.jobs import Jobs
from functions.common.publisher import Publisher
from functions.janitor.upkeep import Upkeep


def tidy(jobs: Upkeep, buckets: Mapping[str, Bucket]) -> dict[str, int]:
    """All that needs the database alone. What makes litter comes before what removes it."""
    return {
        "ended_uploads": jobs.end_dead_uploads(),
        "timed_out": jobs.time_out(),
        "redriven": jobs.redrive(),
        "expired": jobs.expire_old(),
        "swept": sum(litter.sweep(jobs, buckets, job) for job in jobs.littered()),
        "forgotten": jobs.forget_old(),
    }


def publish_pending(jobs: Jobs, publisher: Publisher, seconds: float) -> int:
    """Publishes every event that is due and has been pending for longer than `seconds`; stops at the first failure."""
    published = 0
    for queue in ("video", "mp3"):
        for job in jobs.pending(queue, seconds):
            if not outbox.announce(jobs, publisher, job, queue):
                return published
            published += 1
    return published


def remove_orphans(jobs: Upkeep, buckets: Mapping[str, Bucket], seconds: float) -> int:
    """Removes files and chunks older than `seconds` that no job names: of runs that died between two writes."""
    before = datetime.now(UTC) - timedelta(seconds=seconds)
    removed = 0
    for bucket in buckets.values():
        for file_id in bucket.ids():
            if file_id.generation_time < before and not jobs.names(file_id):
                bucket.delete(file_id)
                removed += 1
    return removed
