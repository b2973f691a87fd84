"""How things stand: what an operator wants to know, counted by the one program that sees both jobs and queues.

It goes into the log once a round, as one line. `make status` on a cluster reads it there, so that nothing opens a port.
"""

from datetime import timedelta

from pymongo import ASCENDING

from functions.common.jobrecord import UNFINISHED
from functions.common.mongo import Document
from functions.janitor.parking import RETRY_QUEUES, connected
from functions.janitor.upkeep import Upkeep

MESSAGE = "how it stands"  # knative/status.py looks for it
QUEUES = ("video", "mp3", *RETRY_QUEUES, "parked")
UNMAILED = ("pending", "sending")
DAY = timedelta(days=1)
MAIL_LASTS = timedelta(days=3)  # a mail is given up after two


class Survey(Upkeep):
    """The job records, counted."""

    def jobs(self) -> dict[str, int]:
        """Jobs by what is becoming of them.

        `stuck` are those that had to be announced again and still have no end; `oldest_seconds` is the age of the
        oldest job that has none. Failures of jobs and mails are those of the last day.
        """
        time = self._now()
        open_: Document = {"state": {"$in": ["queued", "converting"]}}
        ended: Document = {"state": {"$in": ["done", "failed"]}}
        oldest = self._of().find_one(open_, {"created": 1}, sort=[("created", ASCENDING)])
        counts: dict[str, Document] = {state: {"state": state} for state in UNFINISHED} | {
            "stuck": open_ | {"redriven": {"$exists": True}},
            "failed_today": {"state": "failed", "updated": {"$gt": time - DAY}},
            "mails_waiting": ended | {"updated": {"$gt": time - MAIL_LASTS}, "mail.state": {"$in": list(UNMAILED)}},
            "mails_failed_today": ended | {"updated": {"$gt": time - DAY}, "mail.state": "failed"},
        }
        found = {name: self._of().count_documents(filter_) for name, filter_ in counts.items()}
        return found | {"oldest_seconds": int((time - oldest["created"]).total_seconds()) if oldest else 0}


def queues(url: str) -> dict[str, int]:
    """How many messages wait in each queue; those that a source has in hand are not among them. Raises UNREACHABLE."""
    with connected(url) as channel:
        return {name: int(channel.queue_declare(name, passive=True).method.message_count) for name in QUEUES}
