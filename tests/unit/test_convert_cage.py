"""The child's cage: what a decoder that a crafted file has taken over could still do."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from functions.convert import cage
from functions.convert.cores import cores

ROOT = Path(__file__).parents[2]
# Tries everything in the main thread and in one of the pool, as both would be taken over together.
PRISONER = """
import json, os, socket, sys
from functions.convert import cage

def tried(what):
    try:
        what()
    except MemoryError:
        return "no memory"
    except OSError as error:
        return type(error).__name__
    except RuntimeError:
        return "no thread"
    return "done"

held = socket.socket()  # open before: a decoder may find a socket of the process
pool = cage.enter(2, 60)
canary, port, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
attempts = {
    "read": lambda: os.open(canary, os.O_RDONLY),
    "write": lambda: os.open(canary + ".new", os.O_CREAT | os.O_WRONLY),
    "remove": lambda: os.unlink(canary),
    "list": lambda: os.listdir("/"),
    "connect": lambda: held.connect(("127.0.0.1", port)),
    "socket": lambda: socket.socket(),
    "run": lambda: os.execv("/bin/true", ["true"]),
    "signal": lambda: os.kill(parent, 0),
    "memory": lambda: bytearray(2 << 30),
}
found = {name: [tried(what), pool.submit(tried, what).result()] for name, what in attempts.items()}
found["environment"] = dict(os.environ)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    canary = tmp_path_factory.mktemp("canary") / "secret"
    canary.write_text("canary")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", PRISONER, str(canary), str(listener.getsockname()[1]), str(os.getpid())]
        environment = {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert canary.read_text() == "canary"
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("attempt", ["read", "write", "remove", "list", "connect", "socket", "run", "signal"])
def test_nothing_outside_can_be_reached_from_any_thread(found: dict[str, Any], attempt: str) -> None:
    assert cage.landlock_version() >= 6, "these tests want a kernel that has all of it (6.12)"
    assert "done" not in found[attempt]


def test_memory_ends(found: dict[str, Any]) -> None:
    assert found["memory"] == ["no memory", "no memory"]


def test_the_environment_tells_nothing(found: dict[str, Any]) -> None:
    assert set(found["environment"]) <= {"PYTHONPATH", "LANG", "LC_CTYPE"}


def test_the_log_line_says_what_is_in_force() -> None:
    said = cage.in_force()

    assert said["landlock"] == cage.landlock_version()
    assert said["files"] is (cage.landlock_version() >= 1)
    assert said["memory_bytes"] == cage.MEMORY_BYTES


def test_an_older_kernel_is_given_no_rights_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cage, "landlock_version", lambda: 1)
    child = os.fork()
    if child == 0:
        try:
            cage._lock_in()
            (ROOT / "README.md").open()
        except PermissionError:
            os._exit(0)
        except BaseException:
            os._exit(1)
        os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    ],
    ids=str,
)
def test_cores_are_those_that_the_pod_was_given(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    own = len(os.sched_getaffinity(0))

    assert cores(tmp_path) == (own if limit is None else min(own, limit))
