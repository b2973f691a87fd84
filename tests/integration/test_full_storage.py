"""A MongoDB without room: the contract of the fake, expected of a real server that refuses writes."""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pymongo
import pytest

from functions.common.mongo import OUT_OF_DISK_SPACE, Mongo
from local import mongo as server
from local import ports
from local.keeper import Keeper
from local.process import Child
from tests.filecontract import FullStorageContract

COMMANDS = {"insert": ["insert"], "update": ["update", "findAndModify"], "delete": ["delete"]}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server that can be told to refuse commands, which none in production can."""
    home, port = tmp_path_factory.mktemp("full"), ports.choose(set())
    program = server.program(home / "mongo", port, os.environ)
    child = Child(replace(program, command=[*program.command, "--enable-test-commands"]), Path(home / "log"))
    keeper = Keeper([child], lambda: None)
    keeper.start()
    assert child.ready.wait(60), child.tail()
    yield port
    keeper.stop()


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
