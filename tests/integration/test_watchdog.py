"""The watchdog of the MongoDB stand-in, which hangs now and then."""

import os
import time
from pathlib import Path
from typing import Any

import pymongo

from local import mongo, ports
from local.keeper import Keeper
from local.process import Child
from local.stack import Stack
from tests.broker import wait_for


def test_a_mongodb_that_hangs_is_killed_and_comes_back(tmp_path: Path) -> None:
    port = ports.choose(set())
    child = Child(mongo.program(tmp_path / "mongo", port, os.environ), tmp_path / "log")
    keeper = Keeper([child], lambda: None)
    keeper.start()
    watchdog = mongo.Watchdog(child, mongo.url(port), every=0.1, patience=1)
    watchdog.start()
    try:
        assert child.ready.wait(30)
        with pymongo.MongoClient[dict[str, Any]](mongo.url(port)) as client:
            client.get_default_database()["kept"].insert_one({"_id": 1})

        child.freeze()

        wait_for(lambda: child.restarts == 1 and child.ready.is_set(), "the restart")
        with pymongo.MongoClient[dict[str, Any]](mongo.url(port)) as client:
            assert client.get_default_database()["kept"].count_documents({}) == 1
    finally:
        watchdog.stop()
        watchdog.join()
        keeper.stop()


def test_a_mongodb_that_a_test_froze_is_left_alone(backing: Stack) -> None:
    child = backing.child("mongo")
    pid = child.pid
    watchdog = mongo.Watchdog(child, backing.mongo_url, every=0.1, patience=0.3)

    with backing.frozen("mongo"):
        watchdog.start()
        time.sleep(2)
        watchdog.stop()
        watchdog.join()

    assert child.pid == pid
