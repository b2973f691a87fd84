"""Children and their keeper: started in order, started again, ended within a bound, none left."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local import state
from local.keeper import Keeper
from local.process import ROOT, Child, Program

SLEEP = Program("sleep", ["sleep", "60"], os.environ)


class Nursery:
    """Starts keepers and ends them with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keepers: list[Keeper] = []

    def start(self, *programs: Program) -> list[Child]:
        children = [Child(program, self.folder / f"{program.name}.log") for program in programs]
        self.keepers.append(Keeper(children, lambda: None))
        self.keepers[-1].start()
        return children


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    for keeper in nursery.keepers:
        keeper.stop()


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def shell(script: str, name: str = "shell") -> Program:
    return Program(name, ["sh", "-c", script], os.environ)


def test_a_child_that_dies_is_started_again(nursery: Nursery) -> None:
    (child,) = nursery.start(SLEEP)
    until(lambda: child.pid)
    first = state.identity(child.pid)

    os.kill(child.pid, signal.SIGKILL)

    until(lambda: child.restarts == 1 and child.ready.is_set())
    assert child.pid
    assert not state.alive(first)


def test_a_child_that_keeps_dying_is_started_again_ever_more_slowly(nursery: Nursery) -> None:
    (child,) = nursery.start(shell("date +%s.%N; exit 1"))

    until(lambda: child.restarts >= 3)

    times = [float(line) for line in child.log.read_text().split()]
    assert times[2] - times[1] > times[1] - times[0]


def test_a_child_that_cannot_be_started_is_tried_again(nursery: Nursery) -> None:
    (nursery.folder / "sleep.log").mkdir()
    (child,) = nursery.start(SLEEP)
    until(lambda: child.restarts == 1)

    (nursery.folder / "sleep.log").rmdir()

    until(lambda: child.ready.is_set())


def test_a_held_child_stays_dead_until_it_is_released(nursery: Nursery) -> None:
    held, other = nursery.start(SLEEP, replace(SLEEP, name="other"))
    until(lambda: held.pid and other.pid)

    held.hold()
    held.kill()
    os.kill(other.pid, signal.SIGKILL)
    until(lambda: other.restarts == 1 and other.pid)
    assert (held.pid, held.ready.is_set()) == (0, False)

    held.release()
    until(lambda: held.ready.is_set())


def test_what_a_dead_child_leaves_in_its_group_is_killed(nursery: Nursery) -> None:
    (child,) = nursery.start(shell("sleep 60 & echo $!; wait"))
    until(lambda: child.log.exists() and child.log.read_text())
    grandchild = state.identity(int(child.log.read_text()))

    os.kill(child.pid, signal.SIGKILL)

    until(lambda: not state.alive(grandchild))


def test_a_child_waits_for_those_that_it_needs(nursery: Nursery) -> None:
    flag = nursery.folder / "flag"
    needed = replace(SLEEP, name="needed", ready=flag.exists)
    _, child = nursery.start(needed, replace(SLEEP, after=("needed", "somebody else's")))
    until(lambda: (nursery.folder / "needed.log").exists())
    assert not child.pid

    flag.touch()

    until(lambda: child.pid)


def test_a_one_shot_program_is_repeated_until_it_succeeds_and_not_again(nursery: Nursery) -> None:
    script = "echo tried; [ $(wc -l < shell.count) -ge 3 ] || { echo >> shell.count; exit 1; }"
    (nursery.folder / "shell.count").touch()
    program = replace(shell(script.replace("shell.count", str(nursery.folder / "shell.count"))), once=True)
    child, after = nursery.start(program, replace(SLEEP, after=("shell",)))

    until(lambda: after.ready.is_set())

    assert child.ready.is_set()
    assert child.log.read_text().count("tried") == 4


def test_a_timed_program_runs_again_and_again(nursery: Nursery) -> None:
    (child,) = nursery.start(replace(shell("echo round"), every=0.2))

    until(lambda: child.log.exists() and child.log.read_text().count("round") >= 3)

    assert child.restarts == 0


def test_a_later_stage_has_ended_before_an_earlier_one_is_asked_to(nursery: Nursery) -> None:
    ends = 'trap "sleep 0.3; echo %s >> order; exit" TERM; echo up; while :; do sleep 0.05; done'
    order = nursery.folder / "order"
    first, last = (
        replace(shell((ends % name).replace("order", str(order)), name), stage=stage)
        for name, stage in (("server", 0), ("function", 1))
    )
    children = nursery.start(first, last)
    until(lambda: all(child.log.exists() and child.log.read_text() for child in children))

    assert nursery.keepers[0].stop() == []

    assert order.read_text().split() == ["function", "server"]


def test_a_child_that_does_not_listen_is_killed_after_its_bound_even_when_it_is_frozen(nursery: Nursery) -> None:
    deaf = replace(shell("trap '' TERM; echo up; while :; do sleep 0.05; done"), stop_seconds=0.3)
    frozen = replace(deaf, name="frozen")
    children = nursery.start(deaf, frozen)
    until(lambda: all(child.log.exists() and child.log.read_text() for child in children))
    children[1].freeze()
    known = [state.identity(child.pid) for child in children]

    assert sorted(nursery.keepers[0].stop()) == ["frozen", "shell"]

    assert not any(map(state.alive, known))


def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = """
import os, sys, time
from pathlib import Path
from local.keeper import Keeper
from local.process import Child, Program
child = Child(Program("sleep", ["sleep", "60"], os.environ), Path(sys.argv[1]) / "log")
Keeper([child], lambda: None).start()
while not child.ready.is_set():
    time.sleep(0.05)
print(child.pid, flush=True)
time.sleep(60)
"""
    program = Program("parent", [sys.executable, "-c", script, str(tmp_path)], {**os.environ, "PYTHONPATH": str(ROOT)})
    child = Child(program, tmp_path / "parent.log")
    child.tend(startable=True)
    until(lambda: child.log.read_text())
    sleeper = state.identity(int(child.log.read_text()))
    assert state.alive(sleeper)

    child.kill()

    until(lambda: not state.alive(sleeper))
