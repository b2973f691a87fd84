"""GridFS in bounded batches: readable by any GridFS driver, written and read without its 48 MB buffer.

Layout after the GridFS specification (mongodb/specifications, source/gridfs): documents in `BUCKET.files` and
`BUCKET.chunks`, all chunks full but the last, none for an empty file; the files document is written last and
removed first.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bson import ObjectId
from bson.int64 import Int64
from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection
from pymongo.database import Database

from functions.common.mongo import Document, Mongo, budget, writing

CHUNK_BYTES = 261_120  # 255 KiB, the drivers' own default
BATCH_CHUNKS = 8  # 2 MiB: what is stored or fetched at once
VIDEOS, MP3S = "videos", "mp3s"

INDEXES = {
    "files": [IndexModel([("filename", ASCENDING), ("uploadDate", ASCENDING)])],
    "chunks": [IndexModel([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)],
}


class HoleError(Exception):
    """A stored file lacks a chunk, or has one of the wrong length."""


class Bucket:
    """One GridFS bucket."""

    def __init__(self, mongo: Mongo, name: str) -> None:
        self._mongo = mongo
        self.name = name

    @property
    def _files(self) -> Collection[Document]:
        return _collection(self._mongo.database, self.name, "files")

    @property
    def _chunks(self) -> Collection[Document]:
        return _collection(self._mongo.database, self.name, "chunks")

    def writer(self, file_id: ObjectId) -> "Writer":
        """Begins a file; it exists for readers once closed."""
        return Writer(self._files, self._chunks, file_id)

    def chunks(self, file_id: ObjectId, length: int, first: int, last: int) -> Iterator[bytes]:
        """Chunks `first` to `last` (both included) of a file of `length` bytes. Raises HoleError."""
        batches = [range(start, min(start + BATCH_CHUNKS, last + 1)) for start in range(first, last + 1, BATCH_CHUNKS)]
        fetch = partial(self.batch, file_id, length)
        if len(batches) == 1:
            yield from fetch(batches[0])
            return
        # The next batch comes while the last one is being used.
        with ThreadPoolExecutor(1, "chunks") as thread:
            coming = thread.submit(fetch, batches[0])
            for following in [*batches[1:], None]:
                batch = coming.result()
                if following:
                    coming = thread.submit(fetch, following)
                yield from batch

    def batch(self, file_id: ObjectId, length: int, numbers: Sequence[int]) -> list[bytes]:
        """The chunks of these numbers, which rise and are few: they are in memory all at once. Raises HoleError."""
        query = {"files_id": file_id, "n": {"$in": list(numbers)}}
        with budget():
            found = list(self._chunks.find(query, sort=[("n", ASCENDING)], batch_size=len(numbers) + 1))
        if [chunk["n"] for chunk in found] != list(numbers):
            raise HoleError(f"{self.name} {file_id}: {len(found)} of {len(numbers)} chunks from {numbers[0]}")
        for chunk in found:
            if len(chunk["data"]) != min(CHUNK_BYTES, length - chunk["n"] * CHUNK_BYTES):
                raise HoleError(f"{self.name} {file_id}: chunk {chunk['n']} has the wrong length")
        return [chunk["data"] for chunk in found]

    def read(self, file_id: ObjectId, length: int, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in pieces of a chunk at most. Raises HoleError."""
        if start >= end:
            return
        first, last = start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
        for n, data in enumerate(self.chunks(file_id, length, first, last), first):
            offset = n * CHUNK_BYTES
            yield data[max(0, start - offset) : end - offset]

    def sha256(self, file_id: ObjectId, length: int) -> str:
        """The SHA-256 of what is stored, in hexadecimal."""
        digest = hashlib.sha256()
        for piece in self.read(file_id, length, 0, length):
            digest.update(piece)
        return digest.hexdigest()

    def ids(self) -> Iterator[ObjectId]:
        """The id of every file and of every unfinished one, found along the indexes."""
        for collection, name in ((self._files, "_id"), (self._chunks, "files_id")):
            last = ObjectId(bytes(12))
            while found := collection.find_one({name: {"$gt": last}}, {name: 1}, sort=[(name, ASCENDING)]):
                last = found[name]
                yield last

    def delete(self, file_id: ObjectId) -> None:
        """Removes the file or what there is of it; no error when nothing is there."""
        with budget(), writing():
            self._files.delete_one({"_id": file_id})
            self._chunks.delete_many({"files_id": file_id})


class Writer:
    """A file being written: at most BATCH_CHUNKS chunks are held back, and the first one until the end."""

    def __init__(self, files: Collection[Document], chunks: Collection[Document], file_id: ObjectId) -> None:
        self._files, self._chunks, self.file_id = files, chunks, file_id
        self._buffer = bytearray()
        self._first: bytes | None = None
        self._next = 0
        self.length = 0

    @property
    def begun(self) -> bool:
        """Whether anything of it may be stored."""
        return self._next > 0

    def write(self, data: bytes | memoryview) -> None:
        """Appends `data`; stores a batch of chunks whenever one is full."""
        self._buffer += data
        self.length += len(data)
        if len(self._buffer) >= BATCH_CHUNKS * CHUNK_BYTES:
            self._insert(self._take(len(self._buffer) // CHUNK_BYTES))

    def finish(self, head: bytes = b"") -> None:
        """Stores all that is still held back; the file's first bytes become `head`."""
        rest = self._take(-(-len(self._buffer) // CHUNK_BYTES))
        if self._first is not None:
            rest.append(self._document(0, head + self._first[len(head) :]))
            self._first = None
        self._insert(rest)

    def close(self, filename: str, metadata: dict[str, Any]) -> None:
        """Completes the file: all chunks are stored, then its files document."""
        self.finish()
        with budget(), writing():
            self._files.insert_one(
                {
                    "_id": self.file_id,
                    "length": Int64(self.length),
                    "chunkSize": CHUNK_BYTES,
                    "uploadDate": datetime.now(UTC),
                    "filename": filename,
                    "metadata": metadata,
                }
            )

    def abort(self) -> None:
        """Removes what was stored."""
        with budget(), writing():
            self._files.delete_one({"_id": self.file_id})
            self._chunks.delete_many({"files_id": self.file_id})

    def restart(self) -> None:
        """Removes what was stored; the file begins anew."""
        self.abort()
        self._buffer.clear()
        self._first, self._next, self.length = None, 0, 0

    def _take(self, count: int) -> list[Document]:
        """Takes so many chunks out of the buffer, but for the file's first one."""
        documents = []
        with memoryview(self._buffer) as view:
            for index in range(count):
                data = bytes(view[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES])
                if self._next == 0:
                    self._first = data
                else:
                    documents.append(self._document(self._next, data))
                self._next += 1
        del self._buffer[: count * CHUNK_BYTES]
        return documents

    def _insert(self, documents: list[Document]) -> None:
        if documents:
            with budget(), writing():
                self._chunks.insert_many(documents)

    def _document(self, n: int, data: bytes) -> Document:
        return {"_id": ObjectId(), "files_id": self.file_id, "n": n, "data": data}


def _collection(database: Database[Document], bucket: str, part: str) -> Collection[Document]:
    return database[f"{bucket}.{part}"]
