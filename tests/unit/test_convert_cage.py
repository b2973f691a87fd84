"""The child's cage: what a decoder that a crafted file has taken over could still do."""

import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from functions.convert import cage, process
from functions.convert.cores import cores
from tests import media
from tests.converting import Conversion

ROOT = Path(__file__).parents[2]
# Tries everything in the main thread and in one of the pool, as both would be taken over together.
PRISONER = """
import json, os, resource, socket, sys
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
canary, port, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chosen = sys.argv[4].split("|")
journal = os.open(canary + ".open", os.O_CREAT | os.O_WRONLY)
if "fork" in chosen and os.geteuid() == 0:
    os.setuid(65534)  # nobody: as in a pod, where no program is root
if "no landlock" in sys.argv:
    cage.landlock_version = lambda: 0
pool = cage.enter(2, 60)
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
    "fork": lambda: os.fork() or os._exit(0),
    "write on": lambda: os.write(journal, b"x"),
}
found = {name: [tried(attempts[name]), pool.submit(tried, attempts[name]).result()] for name in chosen}
found["environment"] = dict(os.environ)
limits = ["AS", "CPU", "FSIZE", "NOFILE", "NPROC", "CORE"]
found["limits"] = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in limits}
print(json.dumps(found))
"""
# What shuts which of them; the limits shut the others.
SHUT_BY = {"connect": "tcp", "signal": "signals", **dict.fromkeys(["read", "write", "remove", "list", "run"], "files")}
LANDLOCK_SINCE = {(5, 13): 1, (5, 19): 2, (6, 2): 3, (6, 7): 4, (6, 10): 5, (6, 12): 6}  # Linux, Landlock's version
IN_FORCE = cage.in_force()
REACHES = [
    name
    for name in ("read", "write", "remove", "list", "connect", "socket", "run", "signal", "write on")
    if name not in SHUT_BY or IN_FORCE[SHUT_BY[name]]
]


def tried(folder: Path, attempts: list[str], *more: str) -> dict[str, Any]:
    """What became of the prisoner's attempts, by name: in its first thread, and in one of the pool."""
    canary = folder / "secret"
    canary.write_text("canary")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", PRISONER, str(canary), str(listener.getsockname()[1]), str(os.getpid())]
        command += ["|".join(attempts), *more]
        environment = {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert canary.read_text() == "canary"
    assert canary.with_name("secret.open").read_bytes() == b""
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return tried(tmp_path_factory.mktemp("canary"), [*REACHES, "memory"])


@pytest.mark.parametrize("attempt", REACHES)
def test_nothing_outside_can_be_reached_from_any_thread(found: dict[str, Any], attempt: str) -> None:
    assert "done" not in found[attempt]


def test_all_that_this_kernel_has_of_landlock_is_in_force() -> None:
    named = re.match(r"(\d+)\.(\d+)", platform.release())
    assert named
    release = (int(named[1]), int(named[2]))
    active = Path("/sys/kernel/security/lsm")
    is_off = active.exists() and "landlock" not in active.read_text()

    expected = max((version for since, version in LANDLOCK_SINCE.items() if since <= release), default=0)
    assert is_off or cage.landlock_version() >= expected


def test_memory_ends(found: dict[str, Any]) -> None:
    assert found["memory"] == ["no memory", "no memory"]


def test_no_process_can_be_started(tmp_path: Path) -> None:
    assert tried(tmp_path, ["fork"])["fork"] == ["BlockingIOError", "BlockingIOError"]


def test_computing_ends() -> None:
    endless = "from functions.convert import cage\ncage.enter(1, 1)\nwhile True: pass"

    done = subprocess.run([sys.executable, "-c", endless], cwd=ROOT, check=False)

    assert done.returncode == -signal.SIGKILL


def test_the_limits_cannot_be_lifted(found: dict[str, Any]) -> None:
    memory = cage.MEMORY_BYTES + cage.THREAD_BYTES

    hard = {name: limit for name, (soft, limit) in found["limits"].items() if soft == limit}
    assert hard == {"AS": memory, "CPU": 60, "FSIZE": 0, "NOFILE": 0, "NPROC": 0, "CORE": 0}


def test_nothing_of_pyav_is_left_to_be_looked_for_in_the_cage() -> None:
    code = (
        "import sys; from pathlib import Path; import functions.convert.worker, av; root = Path(av.__file__).parent\n"
        "names = {'.'.join(('av', *path.relative_to(root).parts)).split('.abi3')[0] for path in root.rglob('*.so')}\n"
        "print(len(names), sorted(name for name in names if name.split('.cpython')[0] not in sys.modules))"
    )

    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    count, _, missing = said.strip().partition(" ")
    assert int(count) > 30
    assert missing == "[]"


NOBODY = """
import os, sys
from functions.convert import cage, worker

def enter(*asked, enter=cage.enter):
    if os.geteuid() == 0:
        os.setuid(65534)
    return enter(*asked)

cage.enter = enter
worker.main(int(sys.argv[1]))
os._exit(0)
"""


@pytest.mark.parametrize("options", [{}, {"loudness": -14.0}, {"quality": "128"}], ids=str)
def test_a_conversion_needs_no_thread_or_process_that_root_alone_could_start(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    # In a pod no program is root: there RLIMIT_NPROC holds, and libav gets none of the threads that it asks for.
    def popen(command: list[str], popen: Any = subprocess.Popen, **how: Any) -> Any:
        return popen([sys.executable, "-P", "-s", "-c", NOBODY, command[-1]], **how)

    monkeypatch.setattr(process.subprocess, "Popen", popen)

    assert Conversion(media.make("flac", seconds=2), options=options).run().samples == 96_000


def test_without_landlock_the_limits_still_let_nothing_be_opened_or_written(tmp_path: Path) -> None:
    attempts = ["read", "write", "list", "socket", "write on"]

    found = tried(tmp_path, attempts, "no landlock")

    assert all("done" not in found[attempt] for attempt in attempts)
    assert json.dumps(found["limits"]["NOFILE"]) == "[0, 0]"


def test_without_landlock_the_log_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cage, "landlock_version", lambda: 0)

    said = cage.in_force()

    assert (said["landlock"], said["files"], said["tcp"], said["signals"]) == (0, False, False, False)
    assert said["no_new_privs"] is True


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
