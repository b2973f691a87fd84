"""The stack as tests and commands use it: comes up, mends itself, ends without a trace, uses servers that are given."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local import checks, mongo, ports, rabbitmq, state
from local.process import ROOT
from local.stack import Stack, StartError
from tests.conftest import SCALED

# What never listens elsewhere: the broker's own talk, and the page with everybody's mail.
LOOPBACK = ("epmd", "rabbitmq-peers", "inbox")


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def urls(backing: Stack) -> dict[str, str]:
    return {
        "MYSQL_URL": backing.mysql_url,
        "MONGO_URL": backing.mongo_url,
        "RABBITMQ_URL": backing.rabbitmq_url,
        "SMTP_URL": backing.smtp_url,
    }


class Commands:
    """`python -m local` with a home of the test's own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = ports.choose(set())
        self.environment = {**os.environ, "LOCAL_HOME": str(home), "PORT": str(self.port)}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "local", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, text=True, stdout=pipe, stderr=pipe)

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        out, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
        return out

    def processes(self) -> list[state.Identity]:
        """The supervisor, and the children that run."""
        found = state.read(self.home)
        known = [(found["pid"], found["ticks"])]
        return known + [(child["pid"], child["ticks"]) for child in found["children"] if child["pid"]]

    def ports(self) -> list[int]:
        return [self.port, *json.loads((self.home / "ports.json").read_text()).values()]


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    commands = Commands(tmp_path / "home")
    yield commands
    commands.run("down")


def test_up_says_when_all_is_ready_and_down_leaves_no_process_and_no_port(commands: Commands) -> None:
    out = commands.run("up")
    running = commands.processes()

    assert f"http://127.0.0.1:{commands.port}" in out
    assert b"keys" in get(f"http://127.0.0.1:{commands.port}/.well-known/jwks.json")
    assert len(running) >= 13
    assert "Already up" in commands.run("up")
    status = commands.run("status")
    assert "0 unfinished" in status
    assert "video.retry 0" in status
    assert "consuming" in commands.run("logs", "source-video")

    assert "Stopped" in commands.run("down")

    assert not any(map(state.alive, running))
    assert all(map(ports.free, commands.ports()))
    assert "Nothing is running" in commands.run("status")


def test_nothing_outlives_a_supervisor_that_is_killed_and_up_works_again(commands: Commands) -> None:
    commands.run("up")
    running = commands.processes()

    os.kill(running[0][0], signal.SIGKILL)

    until(lambda: not any(map(state.alive, running)))
    until(lambda: all(map(ports.free, commands.ports())))
    assert "Nothing is running" in commands.run("status")
    assert "Gateway" in commands.run("up")


def test_ctrl_c_while_waiting_stops_what_was_started(commands: Commands) -> None:
    # Its migration waits for a database that never comes: so it is still starting, however fast the machine is.
    commands.environment["MYSQL_URL"] = f"mysql://u:p@127.0.0.1:{ports.choose(set())}/accounts"
    process = commands.start("up")
    until(lambda: len(state.read(commands.home).get("children", [])) > 0)
    until(lambda: len(commands.processes()) > 5)
    running = commands.processes()

    process.send_signal(signal.SIGINT)

    assert "Stopping" in process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert not any(map(state.alive, running))


def test_a_gateway_port_that_is_taken_is_named_and_nothing_stays(commands: Commands) -> None:
    with ports.socket.create_server(("127.0.0.1", commands.port)):
        process = commands.start("up")
        errors = process.communicate(timeout=60)[1]

    assert process.returncode == 1
    assert f"port {commands.port} is taken" in errors
    assert "Traceback" not in errors


def test_backing_alone_listens_where_it_is_told_and_prints_addresses_that_answer(commands: Commands) -> None:
    commands.environment |= {"LISTEN": "127.0.0.2"}

    settings = json.loads(commands.run("backing", "--json"))
    running = commands.processes()

    assert set(rabbitmq.depths(settings["RABBITMQ_URL_SOURCE"])) == set(rabbitmq.depths(settings["RABBITMQ_URL"]))
    assert mongo.unfinished(settings["MONGO_URL"]) == 0
    assert checks.speaks(urlsplit(settings["MYSQL_URL"]).port or 0, "127.0.0.2")
    assert checks.speaks(urlsplit(settings["SMTP_URL"]).port or 0, "127.0.0.2")
    assert get(settings["INBOX_URL"])
    assert ports.free(commands.port)
    assert "only the backing services" in commands.run("status")
    assert f"MONGO_URL={settings['MONGO_URL']}" in commands.run("backing")
    taken = [port for port in commands.ports() if ports.answers(port)]
    assert sorted(json.loads((commands.home / "ports.json").read_text())[name] for name in LOOPBACK) == sorted(taken)

    assert "Stopped" in commands.run("down")
    assert not any(map(state.alive, running))


def test_an_address_of_another_machine_is_named(commands: Commands) -> None:
    commands.environment |= {"LISTEN": "192.0.2.77"}

    process = commands.start("backing", "--json")

    assert process.communicate(timeout=60) == ("", "LISTEN=192.0.2.77 is no address of this machine\n")
    assert process.returncode == 1


def test_a_function_that_dies_is_started_again(stack: Stack) -> None:
    child = stack.child("download")
    restarts = child.restarts

    child.kill()

    until(lambda: child.restarts == restarts + 1)
    stack.await_ready("download")


def test_given_urls_replace_all_four_servers(backing: Stack, tmp_path: Path) -> None:
    with Stack(tmp_path, overrides={**SCALED, **urls(backing)}) as stack:
        assert b"keys" in get(f"{stack.url}/.well-known/jwks.json")
        assert stack.inbox_url == ""
        for name in ("mariadb", "mongo", "rabbitmq", "epmd", "inbox"):
            with pytest.raises(KeyError):
                stack.child(name)


def test_a_stack_that_cannot_come_up_says_why_and_leaves_nothing(backing: Stack, tmp_path: Path) -> None:
    overrides = {**SCALED, **urls(backing), "SMTP_URL": "nonsense"}

    named = pytest.raises(StartError, match=r"notify is not ready(.|\n)*SMTP_URL is unreadable")
    with named, Stack(tmp_path, overrides=overrides):
        pass

    assert state.read(tmp_path) == {}
    assert not state.running(tmp_path)


def test_the_topology_is_made_on_a_broker_that_lacks_it(backing: Stack) -> None:
    topology = rabbitmq.definitions(int(SCALED["RETRY_DELAY_MS"]))

    rabbitmq.declare(backing.rabbitmq_url, topology)

    assert list(rabbitmq.depths(backing.rabbitmq_url)) == [queue["name"] for queue in topology["queues"]]
