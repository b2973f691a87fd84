"""A private RabbitMQ: own names daemon, no plugins, topology and accounts from rabbitmq-source/.

For a broker that somebody else runs, `python -m local.rabbitmq` declares the same topology over AMQP.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPConnectionError, AMQPError

from local import ports
from local.passwords import write_private
from local.process import ROOT, Program

SOURCE = ROOT / "rabbitmq-source"
ADMINISTRATOR = "local"  # for `status` and the tests; no program of the product has its password
# Debian's program on the PATH changes user and folder; the package's own script doesn't.
SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
SETTINGS = """\
listeners.tcp.1 = {host}:{port}
load_definitions = {definitions}
vm_memory_high_watermark.absolute = 512MiB
disk_free_limit.absolute = 50MB
log.console = true
log.console.level = warning
log.file = false
"""


def _load(name: str) -> ModuleType:
    # By its path: a folder with a hyphen is no package.
    spec = importlib.util.spec_from_file_location(name, SOURCE / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # as a dataclass wants to find it
    spec.loader.exec_module(module)
    return module


rights = _load("rights")
ACCOUNTS: tuple[str, ...] = (ADMINISTRATOR, *rights.ACCOUNTS)


def url(port: int, account: str, password: str, host: str = ports.LOOPBACK) -> str:
    """The address of its virtual host `/` for one of ACCOUNTS."""
    return f"amqp://{account}:{password}@{host}:{port}/%2F"


def definitions(retry_milliseconds: int | None = None) -> dict[str, Any]:
    """The tracked topology; `retry_milliseconds` is another time to live for its delay queues (tests scale it)."""
    topology: dict[str, Any] = json.loads((SOURCE / "definitions.json").read_text())
    for queue in topology["queues"]:
        if retry_milliseconds and "x-message-ttl" in queue["arguments"]:
            queue["arguments"]["x-message-ttl"] = retry_milliseconds
    return topology


def accounts(passwords: Mapping[str, str]) -> dict[str, Any]:
    """The product's accounts and the administrator, as definitions that hold no password."""
    made: dict[str, Any] = rights.render({name: text for name, text in passwords.items() if name != ADMINISTRATOR})
    made["users"].append(rights.user(ADMINISTRATOR, passwords[ADMINISTRATOR]))
    made["permissions"].append(rights.permission(ADMINISTRATOR, configure=".*", write=".*", read=".*"))
    return made


def programs(
    home: Path,
    numbers: ports.Ports,
    passwords: Mapping[str, str],
    retry_milliseconds: int | None,
    environment: Mapping[str, str],
    host: str = ports.LOOPBACK,
) -> list[Program]:
    """The names daemon and the broker, with their data in `home`. `passwords` has one for each of ACCOUNTS.

    Only its clients reach it on `host`; names daemon and distribution stay on loopback.
    """
    home.mkdir(exist_ok=True)
    port, names = numbers["rabbitmq"], numbers["epmd"]
    topology = definitions(retry_milliseconds)
    write_private(home / "definitions.json", json.dumps({**topology, **accounts(passwords)}))
    settings = SETTINGS.format(host=host, port=port, definitions=home / "definitions.json")
    (home / "rabbitmq.conf").write_text(settings + (SOURCE / "rabbitmq.conf").read_text())
    (home / "env.conf").touch()
    (home / "plugins").write_text("[].\n")
    ready = partial(_ready, url(port, ADMINISTRATOR, passwords[ADMINISTRATOR], host), port, host)
    daemon = ["epmd", "-address", "127.0.0.1", "-port", str(names)]
    broker = {**environment, **_variables(home, numbers)}
    return [
        Program("epmd", daemon, environment, partial(ports.answers, names), names),
        Program("rabbitmq", [str(SCRIPT)], broker, ready, port, after=("epmd",)),
    ]


def _variables(home: Path, numbers: ports.Ports) -> dict[str, str]:
    return {
        "HOME": str(home),
        "RABBITMQ_CONF_ENV_FILE": str(home / "env.conf"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "made"),
        "RABBITMQ_SCHEMA_DIR": str(home / "schema"),
        "RABBITMQ_NODENAME": "local@localhost",
        "RABBITMQ_NODE_PORT": str(numbers["rabbitmq"]),
        "RABBITMQ_DIST_PORT": str(numbers["rabbitmq-peers"]),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
        "ERL_EPMD_PORT": str(numbers["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_LOG": "-color",
        "NOTIFY_SOCKET": str(home / "notify"),  # makes the start script become the server
    }


def _ready(address: str, port: int, host: str) -> bool:
    if not ports.answers(port, host):
        return False
    try:
        return bool(depths(address))
    except (AMQPError, OSError):
        return False


def _connect(address: str) -> pika.BlockingConnection:
    parameters = pika.URLParameters(address)
    parameters.connection_attempts = 1
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = 5
    try:
        return pika.BlockingConnection(parameters)
    except AMQPConnectorException as error:  # from a broker that says nothing; pika does not count it as an AMQPError
        raise AMQPConnectionError(str(error)) from error


def depths(address: str) -> dict[str, int]:
    """How many messages wait in each queue."""
    connection = _connect(address)
    try:
        channel = connection.channel()
        names = [queue["name"] for queue in definitions()["queues"]]
        return {name: channel.queue_declare(name, passive=True).method.message_count for name in names}
    finally:
        connection.close()


def declare(address: str, topology: Mapping[str, Any]) -> None:
    """Makes the topology's exchanges, queues and bindings where they are missing."""
    connection = _connect(address)
    try:
        channel = connection.channel()
        for exchange in topology["exchanges"]:
            channel.exchange_declare(exchange["name"], exchange["type"], durable=True)
        for queue in topology["queues"]:
            channel.queue_declare(queue["name"], durable=True, arguments=queue["arguments"])
        for binding in topology["bindings"]:
            channel.queue_bind(binding["destination"], binding["source"], binding["routing_key"])
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        declare(os.environ["RABBITMQ_URL"], definitions(int(os.environ.get("RETRY_DELAY_MS") or 0)))
    except (AMQPError, OSError) as problem:
        sys.exit(f"the queues could not be made: {type(problem).__name__}: {problem}")
