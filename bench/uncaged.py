"""The converting child without its cage, for comparison: `python -m bench.uncaged MONGO_URL VIDEO_ID LENGTH THREADS`.

The code that converts is the product's; the file is read from GridFS and the MP3 written there by this very process,
without a parent, a socket, Landlock or a limit. Prints as JSON the MP3's id, and how many seconds of processor time
went by before the child in the cage is as far (`start`), and on what that one never has: the database's driver
(`driver`).
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from functions.convert import conversion, lame, loudness
from functions.convert.readahead import ReadAhead
from functions.convert.remote import KEPT_CHUNKS, RemoteFile
from functions.convert.wire import Channel


class StoredFile(RemoteFile):
    """The source, its chunks fetched here."""

    def __init__(self, chunks: ReadAhead, length: int, chunk_size: int) -> None:
        super().__init__(cast(Channel, None), length, chunk_size)
        self._chunks = chunks

    def _fetched(self, number: int) -> memoryview:
        if len(self._kept) >= KEPT_CHUNKS:
            del self._kept[next(iter(self._kept))]
        return memoryview(self._chunks.chunk(number, lambda: False, self._following(number)))


def main(url: str, video: str, length: int, threads: int) -> None:
    """One conversion."""
    for library in (lame, loudness):
        library.load()
    start = time.process_time()
    from bson import ObjectId

    from functions.common.files import CHUNK_BYTES, MP3S, VIDEOS, Bucket, Writer
    from functions.common.mongo import Mongo

    mongo = Mongo(url)
    mongo.database.command("ping")
    driver = time.process_time() - start

    def fetch(numbers: Sequence[int]) -> list[bytes]:
        return Bucket(mongo, VIDEOS).batch(ObjectId(video), length, numbers)

    class Outlet:
        def __init__(self, writer: Writer) -> None:
            self.mp3 = writer.write

        def labels(self, texts: dict[str, str], cover: bytes | None) -> None: ...
        def percent(self, percent: int) -> None: ...

    writer = Bucket(mongo, MP3S).writer(ObjectId())
    job = conversion.Job(length, CHUNK_BYTES, threads)
    with ThreadPoolExecutor(threads) as pool, ReadAhead(fetch, -(-length // CHUNK_BYTES)) as chunks:
        file = StoredFile(chunks, length, CHUNK_BYTES)
        head, _ = conversion.convert(file, job, Outlet(writer), pool, file.expect)
    writer.finish(head)
    print(json.dumps({"mp3": str(writer.file_id), "start": start, "driver": driver}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
