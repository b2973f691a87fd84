"""The job record under everybody at once, against the real database."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from functions.common.mongo import Mongo
from functions.migrate.main import migrate_mongo
from tests.jobmachine import run_machine
from tests.jobworld import COLLECTIONS


@pytest.fixture
def mongo(backing: Any) -> Iterator[Mongo]:
    host, _, query = backing.mongo_url.partition("?")
    mongo = Mongo(f"{host.rpartition('/')[0]}/test-{uuid.uuid4().hex[:12]}?{query}")
    migrate_mongo(mongo)
    yield mongo
    mongo.database.client.drop_database(mongo.database.name)
    mongo.database.client.close()


def test_whoever_comes_when_and_dies_where_every_job_comes_to_its_end(mongo: Mongo) -> None:
    def emptied() -> Mongo:
        for name in COLLECTIONS:
            mongo.database[name].delete_many({})
        return mongo

    run_machine(emptied, examples=6, steps=40)
