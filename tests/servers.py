"""Single servers for tests that need one of their own, without a stack around it."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from local import mongo
from local.keeper import Keeper
from local.process import Child


@contextmanager
def running(child: Child) -> Iterator[None]:
    """Keeps the program alive while the block lasts, which begins once it is ready."""
    keeper = Keeper([child], lambda: None)
    keeper.start()
    try:
        assert child.ready.wait(120), child.tail()
        yield
    finally:
        keeper.stop()


def mongo_stand_in(home: Path, port: int, *flags: str) -> AbstractContextManager[None]:
    """The MongoDB stand-in, keeping its data under `home`."""
    program = mongo.program(home / "mongo", port, os.environ)
    return running(Child(replace(program, command=[*program.command, *flags]), home / "log"))
