"""What a client sees of a job: the one JSON form that upload and download answer with."""

from datetime import datetime
from typing import Any

from functions.common.mongo import Document


def job_view(job: Document) -> dict[str, Any]:
    """The job as JSON: nothing internal, times in RFC 3339, `mp3` only while it can be fetched."""
    mp3 = job.get("mp3") if job["state"] == "done" else None
    return {
        "id": job["_id"],
        "state": job["state"],
        "created": _time(job["created"]),
        "updated": _time(job["updated"]),
        "filename": job["video"]["filename"],
        "length": job["video"].get("length"),
        "options": job.get("options", {}),
        "progress": job["progress"],
        "mail": job.get("mail", {}).get("state"),
        "mp3": _mp3_view(mp3, job["expires"]) if mp3 else None,
        "result": job.get("result"),
        "error": job.get("error"),
    }


def _mp3_view(mp3: Document, expires: datetime) -> dict[str, Any]:
    return {
        "id": str(mp3["file_id"]),
        "filename": mp3["filename"],
        "length": mp3["length"],
        "sha256": mp3["sha256"],
        "href": f"/v1/mp3s/{mp3['file_id']}",
        "expires": _time(expires),
    }


def _time(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
