"""What the database holds, looked at behind the system's back."""

from typing import Any

import pymongo


class Stored:
    """What the databases hold, looked at behind the system's back."""

    def __init__(self, url: str) -> None:
        self._database: Any = pymongo.MongoClient(url).get_default_database()

    def counts(self) -> dict[str, int]:
        names = ("jobs", "videos.files", "videos.chunks", "mp3s.files", "mp3s.chunks")
        return {name: self._database[name].count_documents({}) for name in names}

    def close(self) -> None:
        self._database.client.close()
