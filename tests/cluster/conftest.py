"""The product on a real cluster, made once a session. `make test-cluster`; docs/contributing.md says what it needs."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pymongo
import pytest

from knative.cluster import Cluster, ClusterError
from local.process import ROOT
from tests import media
from tests.cluster.overlay import NAMESPACE
from tests.cluster.site import Site
from tests.e2e.account import Account

collect_ignore = [] if shutil.which("kn") else ["test_kn.py"]  # Knative's own client is no part of what we need
TEST_SECONDS = 2400
STAGES = pytest.StashKey[list[str]]()
Stage = Callable[[str], AbstractContextManager[None]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A slow machine is given the time that it takes, and no more than all night."""
    for item in items:
        item.add_marker(pytest.mark.timeout(TEST_SECONDS))


def pytest_configure(config: pytest.Config) -> None:
    """A place for what took how long."""
    config.stash[STAGES] = []


def pytest_runtestloop(session: pytest.Session) -> None:
    """Says once, and not at each test, that there is no cluster."""
    if not session.config.option.collectonly:
        try:
            Cluster()
        except ClusterError as error:
            pytest.exit(str(error), 1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints what took how long."""
    if config.stash[STAGES]:
        terminalreporter.section("stages")
        for line in config.stash[STAGES]:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Stage:
    """Within `stage("name")` time is taken; the session's end tells it."""
    lines = request.config.stash[STAGES]

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        lines.append(f"{name:<48} {time.monotonic() - started:7.1f} s")

    return stage


@pytest.fixture(scope="session")
def cluster(stage: Stage) -> Iterator[Site]:
    """The product, ready. KEEP=1 leaves it for the next time and uses what such a time left."""
    keep = bool(os.environ.get("KEEP"))
    site = Site(ROOT / ".local" / "cluster")
    if site.foreign():
        pytest.exit(f"the cluster has a namespace {NAMESPACE} that is not of the tests' making: remove it first", 1)
    if not (keep and site.home.exists()):
        site.remove()
    try:
        with stage("images, backing services, deployment"):
            site.make()
        yield site
    finally:
        if not keep:
            site.remove()


@pytest.fixture
def new_account(cluster: Site) -> Callable[[], Account]:
    return lambda: Account(cluster.url, cluster.inbox_url)


@pytest.fixture
def account(new_account: Callable[[], Account]) -> Account:
    return new_account()


@pytest.fixture
def records(cluster: Site) -> Iterator[Any]:
    """The job records themselves."""
    client: Any = pymongo.MongoClient(cluster.settings["MONGO_URL"])
    yield client.get_default_database()["jobs"]
    client.close()


@pytest.fixture(scope="session")
def clip() -> bytes:
    """A short video with sound."""
    return media.make("mp4", seconds=5)
