"""What GridFS promises as we write and read it, expected of the in-memory fake and of the real database alike."""

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId

from functions.common.files import BATCH_CHUNKS, CHUNK_BYTES, Bucket, HoleError
from functions.common.jobs import Jobs
from functions.common.mongo import StorageFullError
from tests.contracts import OWNER, begun

LENGTHS = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, (BATCH_CHUNKS + 1) * CHUNK_BYTES + 7]


class FilesContract:
    """Files in GridFS."""

    @pytest.fixture
    def bucket(self, mongo: Any) -> Bucket:
        return Bucket(mongo, "videos")

    @staticmethod
    def store(bucket: Bucket, data: bytes, piece: int = 100_000) -> ObjectId:
        writer = bucket.writer(ObjectId())
        for start in range(0, len(data), piece):
            writer.write(data[start : start + piece])
        writer.close("a.mp4", {"owner": OWNER})
        return writer.file_id

    @pytest.mark.parametrize("length", LENGTHS)
    def test_what_was_written_is_read(self, bucket: Bucket, length: int) -> None:
        data = os.urandom(length)

        file_id = self.store(bucket, data)

        assert b"".join(bucket.read(file_id, length, 0, length)) == data
        assert bucket.sha256(file_id, length) == hashlib.sha256(data).hexdigest()

    def test_any_range_is_read(self, bucket: Bucket) -> None:
        data = os.urandom(3 * CHUNK_BYTES + 5)
        file_id = self.store(bucket, data)

        edges = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1, len(data) - 1, len(data)]
        for start in edges:
            for end in edges:
                assert b"".join(bucket.read(file_id, len(data), start, end)) == data[start:end]

    def test_the_first_bytes_can_be_filled_in_at_the_end(self, bucket: Bucket) -> None:
        writer = bucket.writer(ObjectId())
        writer.write(b"????" + b"x" * 2 * CHUNK_BYTES)
        writer.finish(b"head")
        writer.close("a.mp3", {})

        assert b"".join(bucket.read(writer.file_id, writer.length, 0, 6)) == b"headxx"

    def test_a_hole_is_an_error(self, bucket: Bucket, mongo: Any) -> None:
        data = os.urandom(3 * CHUNK_BYTES)
        file_id = self.store(bucket, data)
        mongo.database["videos.chunks"].delete_one({"files_id": file_id, "n": 1})

        with pytest.raises(HoleError):
            list(bucket.read(file_id, len(data), 0, len(data)))

    def test_chunks_are_read_by_their_numbers(self, bucket: Bucket) -> None:
        data = os.urandom(4 * CHUNK_BYTES + 7)
        file_id = self.store(bucket, data)
        whole = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]

        assert bucket.batch(file_id, len(data), [0, 2, 4]) == [whole[0], whole[2], whole[4]]
        with pytest.raises(HoleError):
            bucket.batch(file_id, len(data), [2, 5])

    def test_an_aborted_and_a_deleted_file_leave_nothing(self, bucket: Bucket, mongo: Any) -> None:
        writer = bucket.writer(ObjectId())
        writer.write(os.urandom((BATCH_CHUNKS + 2) * CHUNK_BYTES))
        writer.abort()
        bucket.delete(self.store(bucket, b"x" * 1000))

        assert list(mongo.database["videos.chunks"].find({})) == []
        assert list(mongo.database["videos.files"].find({})) == []


class FullStorageContract:
    """A server that has no room; `fill` has it refuse these kinds of writes: insert, update, delete."""

    @pytest.fixture
    def jobs(self, mongo: Any) -> Jobs:
        return Jobs(lambda: mongo.database["jobs"])

    @pytest.fixture
    def bucket(self, mongo: Any) -> Bucket:
        return Bucket(mongo, "videos")

    def test_no_job_begins_and_none_is_committed(self, jobs: Jobs, fill: Callable[..., None]) -> None:
        run = begun(jobs)
        fill("insert", "update")

        with pytest.raises(StorageFullError):
            jobs.begin(OWNER, "a@demo.example", "a.mp4")
        for write in (
            lambda: jobs.uploaded(run, 1, "00"),
            lambda: jobs.extend(run),
            lambda: jobs.take("convert", run.job_id),
            lambda: jobs.converted(run, {}, {}, timedelta(days=1)),
            lambda: jobs.cleaned(run.job_id, run.file_id),
        ):
            with pytest.raises(StorageFullError):
                write()
        assert jobs.get(run.job_id, OWNER)

    def test_no_chunk_is_stored_and_no_file_completed(self, bucket: Bucket, fill: Callable[..., None]) -> None:
        stored = bucket.writer(ObjectId())
        stored.finish()
        writer = bucket.writer(ObjectId())
        fill("insert")

        with pytest.raises(StorageFullError):
            writer.write(bytes(BATCH_CHUNKS * CHUNK_BYTES))
        with pytest.raises(StorageFullError):
            writer.close("a.mp4", {})
        with pytest.raises(StorageFullError):
            stored.close("empty.mp4", {})
        bucket.delete(writer.file_id)

    def test_nothing_is_removed_where_that_takes_room(
        self, jobs: Jobs, bucket: Bucket, fill: Callable[..., None]
    ) -> None:
        run = begun(jobs)
        fill("delete")

        with pytest.raises(StorageFullError):
            bucket.delete(run.file_id)
        with pytest.raises(StorageFullError):
            jobs.forget(run.job_id)
