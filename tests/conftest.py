"""The servers that tests run against: private to the session, ended with it. A URL in the environment replaces one.

`backing` is the four servers without the product; `stack` is the whole system, with its waits scaled down.
"""

from collections.abc import Iterator

import pytest

from local.plan import URLS, chosen
from local.stack import Stack

SCALED = {
    "RETRY_DELAY_MS": "2000",
    "LEASE_SECONDS": "4",
    "PENDING_SECONDS": "1",
    "DEAD_UPLOAD_SECONDS": "2",
    "REDRIVE_SECONDS": "20",
    "MAIL_WAIT_SECONDS": "1",
    "JANITOR_SECONDS": "2",
    "MAX_UPLOAD_BYTES": "314572800",
}


def given() -> dict[str, str]:
    """The backing services that somebody else runs for the tests."""
    return {name: text for name, text in chosen().items() if name in URLS}


@pytest.fixture(scope="session")
def backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """MariaDB, RabbitMQ with its queues, the MongoDB stand-in, the inbox: `.mysql_url`, `.rabbitmq_url` and so on."""
    overrides = {"RETRY_DELAY_MS": SCALED["RETRY_DELAY_MS"], **given()}
    with Stack(tmp_path_factory.mktemp("backing"), overrides=overrides, backing_only=True) as running:
        yield running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole system behind its gateway at `.url`, the mails it sends at `.inbox_url`."""
    with Stack(tmp_path_factory.mktemp("stack"), overrides={**SCALED, **given()}) as running:
        yield running
