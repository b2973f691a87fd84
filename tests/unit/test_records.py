"""The job record and GridFS against the in-memory fake."""

from collections.abc import Callable

import pytest

from tests.contracts import RunsContract
from tests.fakes import FakeMongo
from tests.filecontract import FilesContract, FullStorageContract
from tests.littercontract import LitterContract
from tests.mailcontract import MailContract


@pytest.fixture
def mongo() -> FakeMongo:
    return FakeMongo()


class TestRuns(RunsContract):
    """The contract."""


class TestLitter(LitterContract):
    """The contract."""


class TestMail(MailContract):
    """The contract."""


class TestFiles(FilesContract):
    """The contract."""


class TestFullStorage(FullStorageContract):
    @pytest.fixture
    def fill(self, mongo: FakeMongo) -> Callable[..., None]:
        return lambda *kinds: setattr(mongo.database, "refused", kinds)
