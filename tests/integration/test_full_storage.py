"""A MongoDB without room: the contract of the fake, expected of a real server that refuses writes."""

import uuid
from collections.abc import Callable, Iterator

import pymongo
import pytest

from functions.common.mongo import OUT_OF_DISK_SPACE, Mongo
from local import mongo as server
from local import ports
from tests.filecontract import FullStorageContract
from tests.servers import mongo_stand_in

COMMANDS = {"insert": ["insert"], "update": ["update", "findAndModify"], "delete": ["delete"]}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server that can be told to refuse commands, which none in production can."""
    home, port = tmp_path_factory.mktemp("full"), ports.choose(set())
    with mongo_stand_in(home, port, "--enable-test-commands"):
        yield port


@pytest.fixture
def mongo(port: int) -> Iterator[Mongo]:
    """A database of its own for one test."""
    mongo = Mongo(server.url(port).replace(server.DATABASE, f"test-{uuid.uuid4().hex[:12]}"))
    yield mongo
    mongo.database.client.close()


@pytest.fixture
def fill(port: int) -> Iterator[Callable[..., None]]:
    """Has the server refuse these kinds of writes."""
    with pymongo.MongoClient[dict[str, object]](server.url(port)) as client:

        def begin(*kinds: str) -> None:
            commands = [command for kind in kinds for command in COMMANDS[kind]]
            data = {"failCommands": commands, "errorCode": OUT_OF_DISK_SPACE}
            client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)

        yield begin
        client.admin.command("configureFailPoint", "failCommand", mode="off")


class TestFullStorage(FullStorageContract):
    """The contract."""
