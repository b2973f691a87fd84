"""What the database holds, looked at behind the system's back."""

import time
from collections.abc import Iterable
from typing import Any

import pymongo

from tests.e2e.account import until


class Stored:
    """What the databases hold, looked at behind the system's back."""

    def __init__(self, url: str) -> None:
        self._database: Any = pymongo.MongoClient(url).get_default_database()

    def counts(self) -> dict[str, int]:
        names = ("jobs", "videos.files", "videos.chunks", "mp3s.files", "mp3s.chunks")
        return {name: self._database[name].count_documents({}) for name in names}

    def has(self, bucket: str, file_ids: Iterable[Any]) -> bool:
        """Whether there is anything of these files, be it a single chunk."""
        ids = {"$in": list(file_ids)}
        chunks = self._database[f"{bucket}.chunks"].find_one({"files_id": ids}, {"_id": 1})
        return bool(chunks or self._database[f"{bucket}.files"].find_one({"_id": ids}))

    def quiet(self) -> None:
        """Waits until nothing is under way, so that what an earlier test began is not counted."""
        unfinished = {"state": {"$in": ["uploading", "queued", "converting"]}}

        def still() -> bool:
            before = self.counts()
            time.sleep(0.5)
            return not self._database["jobs"].count_documents(unfinished) and self.counts() == before

        until(still, 60, "nothing is under way")

    def settles(self, expected: dict[str, int]) -> None:
        """Waits until just so much is stored: the gateway may answer before a function has tidied up."""
        until(lambda: self.counts() == expected, 30, f"{expected} is stored, not {self.counts()}")

    def close(self) -> None:
        self._database.client.close()
