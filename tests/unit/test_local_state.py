"""Who runs a home's stack, and which processes it left."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from local import passwords, ports, state


def test_a_home_has_one_stack_at_a_time(tmp_path: Path) -> None:
    assert not state.running(tmp_path)

    with state.lock(tmp_path):
        assert state.running(tmp_path)
        with pytest.raises(state.AlreadyRunningError):
            state.lock(tmp_path)

    assert not state.running(tmp_path)


def test_leftovers_are_ended_and_strangers_with_their_ids_are_not(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as left, subprocess.Popen(["sleep", "60"]) as stranger:
        pid, ticks = state.identity(stranger.pid)
        children = [
            {"pid": left.pid, "ticks": state.identity(left.pid)[1]},
            {"pid": pid, "ticks": ticks - 1},
            {"pid": 0, "ticks": 0},
        ]
        state.write(tmp_path, {"children": children})

        state.end_leftovers(tmp_path)

        assert left.wait(10) == -signal.SIGTERM
        assert stranger.poll() is None
        stranger.kill()
    assert state.read(tmp_path) == {}


def test_a_dead_process_is_not_alive_while_it_waits_to_be_buried() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        who = state.identity(process.pid)
        assert state.alive(who)

        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert not state.alive(who)


def test_what_holds_passwords_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    made = passwords.load(tmp_path / "passwords.json", ["one", "two"])
    state.write(tmp_path, {})

    assert passwords.load(tmp_path / "passwords.json", ["one", "two"]) == made
    assert made["one"] != made["two"]
    for name in ("passwords.json", "state.json"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_ports_are_distinct_remembered_and_given_up_when_somebody_took_them(tmp_path: Path) -> None:
    first = ports.Ports(tmp_path / "ports.json")
    one, two = first["one"], first["two"]
    assert one != two

    with ports.socket.socket() as taken:
        taken.bind(("127.0.0.1", one))
        taken.listen()
        again = ports.Ports(tmp_path / "ports.json")
        assert again.renew() == ["one"]
        assert again["one"] != one
        assert again["two"] == two
