"""Removes files that a job does not want; what fails here is left to the janitor, as the job goes on naming it."""

import logging
from collections.abc import Mapping

from bson import ObjectId

from functions.common.files import Bucket
from functions.common.jobs import Jobs
from functions.common.mongo import AWAY, Document

log = logging.getLogger(__name__)


def remove(jobs: Jobs, bucket: Bucket, job_id: str, file_id: ObjectId) -> None:
    """Removes one file, then its mention. Raises one of AWAY."""
    bucket.delete(file_id)
    jobs.cleaned(job_id, file_id)


def sweep(jobs: Jobs, buckets: Mapping[str, Bucket], job: Document) -> bool:
    """Removes all that `job` names as litter, as far as its buckets are given. False: something is left."""
    entries = job.get("litter", [])
    try:
        for entry in entries:
            if entry["bucket"] in buckets:
                remove(jobs, buckets[entry["bucket"]], job["_id"], entry["file_id"])
    except AWAY as error:
        log.warning("litter is left to the janitor", extra={"job": job["_id"], "reason": str(error)})
        return False
    return all(entry["bucket"] in buckets for entry in entries)
