"""What runs besides the servers: the five functions, the two sources, the migration, the janitor's timer."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local import checks
from local.ports import Ports
from local.process import ROOT, Program

NAMES = ("auth", "upload", "convert", "notify", "download")
SHUTDOWN_SECONDS = 5
MAIL_FROM = "no-reply@video-to-mp3.example"


@dataclass(frozen=True)
class Source:
    """What takes from a queue: whom it calls, how many calls at once, how long each may take."""

    function: str
    parallelism: int
    seconds: int


SOURCES = {"video": Source("convert", 1, 600), "mp3": Source("notify", 4, 300)}


@dataclass(frozen=True)
class Urls:
    """Where the backing services are, for one program: `rabbitmq` names its account."""

    mysql: str
    mongo: str
    rabbitmq: str
    smtp: str


# Who has an account at the broker, and whose. The rights are in rabbitmq-source/rights.py.
BROKER_ACCOUNTS = {
    **{name: name for name in ("upload", "convert", "janitor")},
    **{f"source-{queue}": "source" for queue in SOURCES},
}


def variables(name: str, urls: Urls, keys: Path, public_url: str) -> dict[str, str]:
    """The settings of a function or of a one-shot program that differ from their defaults."""
    mysql, mongo, rabbitmq = {"MYSQL_URL": urls.mysql}, {"MONGO_URL": urls.mongo}, {"RABBITMQ_URL": urls.rabbitmq}
    public = {"TOKEN_KEYS_FILE": str(keys / "jwks.json")}
    return {
        "auth": {
            **mysql,
            **public,
            "TOKEN_PRIVATE_KEY_FILE": str(keys / "private.pem"),
            "SIGNUP_OPEN": "true",
        },
        "upload": {**mongo, **rabbitmq, **public},
        "convert": {**mongo, **rabbitmq},
        "notify": {**mongo, "SMTP_URL": urls.smtp, "MAIL_FROM": MAIL_FROM, "PUBLIC_URL": public_url},
        "download": {**mongo, **public},
        "janitor": {**mongo, **rabbitmq},
        "migrate": {**mysql, **mongo},
    }[name]


def serving(name: str, port: int) -> dict[str, str]:
    """The settings of a function's launcher."""
    return {"HOST": "127.0.0.1", "PORT": str(port), "SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS)}


def function(name: str, port: int, environment: Mapping[str, str]) -> Program:
    """One of the five."""
    command = [sys.executable, "-m", "functions.common.serve", name]
    ready = partial(checks.serves, port)
    return Program(name, command, environment, ready, port, stage=1, stop_seconds=SHUTDOWN_SECONDS + 5)


def source_variables(queue: str, ports: Ports, rabbitmq_url: str) -> dict[str, str]:
    """The settings of the source that takes from `queue`."""
    source = SOURCES[queue]
    return {
        "RABBITMQ_URL": rabbitmq_url,
        "QUEUE": queue,
        "SINK": f"http://127.0.0.1:{ports[source.function]}/",
        "PARALLELISM": str(source.parallelism),
        "TIMEOUT_SECONDS": str(source.seconds),
    }


def source(queue: str, environment: Mapping[str, str]) -> Program:
    """The program that stands for Knative's RabbitmqSource."""
    command = [sys.executable, str(ROOT / "rabbitmq-source" / "source.py")]
    return Program(f"source-{queue}", command, environment, after=("rabbitmq", "topology"), stage=2)


def migrate(environment: Mapping[str, str]) -> Program:
    """Makes the databases' tables and indexes, until it has succeeded once."""
    command = [sys.executable, "-m", "functions.migrate.main"]
    return Program("migrate", command, environment, after=("mariadb", "mongo"), stage=2, once=True)


def topology(environment: Mapping[str, str]) -> Program:
    """Makes the queues on a broker that somebody else runs, until it has succeeded once."""
    return Program("topology", [sys.executable, "-m", "local.rabbitmq"], environment, stage=2, once=True)


def janitor(environment: Mapping[str, str], seconds: float) -> Program:
    """The janitor's round, every so many seconds."""
    command = [sys.executable, "-m", "functions.janitor.main"]
    return Program("janitor", command, environment, after=("migrate",), stage=2, every=seconds)
