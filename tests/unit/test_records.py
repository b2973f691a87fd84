"""The job record and GridFS against the in-memory fake."""

from collections.abc import Callable

import pytest

from tests.contracts import JobsContract
from tests.fakes import FakeMongo
from tests.filecontract import FilesContract, FullStorageContract


class TestJobs(JobsContract):
    @pytest.fixture
    def mongo(self) -> FakeMongo:
        return FakeMongo()


class TestFiles(FilesContract):
    @pytest.fixture
    def mongo(self) -> FakeMongo:
        return FakeMongo()


class TestFullStorage(FullStorageContract):
    @pytest.fixture
    def fill(self, mongo: FakeMongo) -> Callable[..., None]:
        return lambda *kinds: setattr(mongo.database, "refused", kinds)
