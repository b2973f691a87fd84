"""The job record and GridFS against the real database (SecantusDB as a stand-in, or what MONGO_URL names)."""

import os
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import gridfs
import pytest
from bson import ObjectId
from gridfs.errors import CorruptGridFile

from functions.common.files import CHUNK_BYTES, Bucket, HoleError
from functions.common.jobrecord import LeaseHeldError
from functions.common.jobs import Jobs
from functions.common.mongo import Mongo
from functions.janitor.survey import Survey
from functions.janitor.upkeep import Times
from functions.migrate.main import migrate_mongo
from tests.contracts import RunsContract, begun
from tests.filecontract import LENGTHS, FilesContract
from tests.littercontract import LitterContract
from tests.mailcontract import MailContract


@pytest.fixture
def mongo(backing: Any) -> Iterator[Mongo]:
    """A database of its own for one test."""
    host, _, query = backing.mongo_url.partition("?")
    mongo = Mongo(f"{host.rpartition('/')[0]}/test-{uuid.uuid4().hex[:12]}?{query}")
    migrate_mongo(mongo)
    yield mongo
    mongo.database.client.drop_database(mongo.database.name)
    mongo.database.client.close()


def test_the_database_counts_what_the_janitor_asks_for(mongo: Mongo) -> None:
    jobs = Survey(lambda: mongo.database["jobs"], Times())
    run = begun(jobs)
    jobs.uploaded(run, 1, "")
    mailing = begun(jobs)
    jobs.uploaded(mailing, 1, "")
    converting = jobs.take("convert", mailing.job_id)
    assert converting
    jobs.failed(converting, "no_audio")

    counted = jobs.jobs()

    assert {name for name, count in counted.items() if count == 1} >= {"queued", "failed_today", "mails_waiting"}
    assert counted["stuck"] == 0


class TestLitter(LitterContract):
    """The contract."""


class TestMail(MailContract):
    """The contract."""


class TestRuns(RunsContract):
    def test_of_many_runs_that_want_a_job_one_gets_it(self, jobs: Jobs, queued: str) -> None:
        outcomes = []

        def want() -> None:
            try:
                outcomes.append(jobs.take("convert", queued) is not None)
            except LeaseHeldError:
                outcomes.append(False)

        threads = [threading.Thread(target=want) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(outcomes) == [False] * 11 + [True]


class TestFiles(FilesContract):
    @pytest.mark.parametrize("length", LENGTHS)
    def test_any_driver_reads_what_is_written_here(self, bucket: Bucket, mongo: Mongo, length: int) -> None:
        data = os.urandom(length)

        file_id = self.store(bucket, data)

        with gridfs.GridFSBucket(mongo.database, "videos").open_download_stream(file_id) as file:
            assert file.read() == data
            assert (file.filename, file.length, file.chunk_size) == ("a.mp4", length, CHUNK_BYTES)
        (document,) = mongo.database["videos.files"].find()
        assert set(document) == {"_id", "length", "chunkSize", "uploadDate", "filename", "metadata"}

    @pytest.mark.parametrize("length", LENGTHS)
    def test_what_any_driver_wrote_is_read_here(self, bucket: Bucket, mongo: Mongo, length: int) -> None:
        data = os.urandom(length)

        file_id = gridfs.GridFSBucket(mongo.database, "videos").upload_from_stream("a.mp4", data)

        assert b"".join(bucket.read(file_id, length, 0, length)) == data

    def test_both_notice_a_hole(self, bucket: Bucket, mongo: Mongo) -> None:
        data = os.urandom(3 * CHUNK_BYTES)
        file_id = self.store(bucket, data)
        mongo.database["videos.chunks"].delete_one({"files_id": file_id, "n": 1})

        with pytest.raises(HoleError):
            list(bucket.read(file_id, len(data), 0, len(data)))
        theirs = gridfs.GridFSBucket(mongo.database, "videos").open_download_stream(file_id)
        with theirs, pytest.raises(CorruptGridFile):
            theirs.read()

    def test_a_file_that_was_begun_is_not_there_for_readers(self, bucket: Bucket, mongo: Mongo) -> None:
        writer = bucket.writer(ObjectId())
        writer.write(os.urandom(20 * CHUNK_BYTES))

        with pytest.raises(gridfs.NoFile):
            gridfs.GridFSBucket(mongo.database, "videos").open_download_stream(writer.file_id)


def test_the_migration_can_run_again(mongo: Mongo) -> None:
    before = mongo.database["jobs"].index_information()
    migrate_mongo(mongo)

    assert mongo.database["jobs"].index_information() == before
    assert mongo.database["videos.chunks"].index_information()["files_id_1_n_1"]["unique"]
