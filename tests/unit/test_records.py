"""The job record and GridFS against the in-memory fake."""

import pytest

from tests.contracts import JobsContract
from tests.fakes import FakeMongo
from tests.filecontract import FilesContract


class TestJobs(JobsContract):
    @pytest.fixture
    def mongo(self) -> FakeMongo:
        return FakeMongo()


class TestFiles(FilesContract):
    @pytest.fixture
    def mongo(self) -> FakeMongo:
        return FakeMongo()
