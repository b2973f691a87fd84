"""The running system, and accounts on it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import media
from tests.e2e.account import Account
from tests.e2e.stored import Stored


@pytest.fixture
def new_account(stack: Any) -> Callable[[], Account]:
    return lambda: Account(stack.url, stack.inbox_url)


@pytest.fixture
def account(new_account: Callable[[], Account]) -> Account:
    return new_account()


@pytest.fixture(scope="session")
def clip() -> bytes:
    """A short video with sound."""
    return media.make("mp4", seconds=5)


@pytest.fixture
def stored(stack: Any) -> Iterator[Stored]:
    looker = Stored(stack.env("download")["MONGO_URL"])
    looker.quiet()
    yield looker
    looker.close()
