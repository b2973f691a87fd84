"""Fixtures of the unit tests: fakes, keys, nothing that runs."""

from pathlib import Path

import pytest

from functions.common import runs
from tests.clients import Keys
from tests.fakes import FakeMongo, FakePublisher
from tests.unit.converting import World


@pytest.fixture(scope="session")
def token_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(Path(tmp_path_factory.mktemp("keys")))


@pytest.fixture
def mongo() -> FakeMongo:
    return FakeMongo()


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def convert_world(mongo: FakeMongo, publisher: FakePublisher, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(runs, "PAUSE_SECONDS", 0)
    return World(mongo, publisher)
