"""`up` and `down`: the stack of the checkout, kept by a process in the background."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from local import state
from local.process import ROOT
from local.stack import Stack, StartError

HOME = Path(os.environ.get("LOCAL_HOME") or ROOT / ".local").absolute()
DOWN_SECONDS = 60.0


def leave_on_signals() -> None:
    """The first SIGINT, SIGTERM or SIGHUP is a KeyboardInterrupt; more of them change nothing then."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def leave(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, leave)


def supervise(port: int, settings: Mapping[str, str]) -> int:
    """Keeps the stack until a signal comes: what `up` starts in the background."""
    leave_on_signals()
    try:
        with Stack(HOME, port=port, overrides=settings):
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except (StartError, state.AlreadyRunningError) as error:
        print(error, file=sys.stderr)
        return 1


def up() -> int:
    """Starts the supervisor unless there is one, and returns when the stack is ready."""
    if state.running(HOME):
        print("Already up.")
        return _await_ready(None, time.monotonic())
    (HOME / "log").mkdir(parents=True, exist_ok=True, mode=0o700)
    state.clear(HOME)
    print("Starting; the first time takes a few seconds longer.")
    started = time.monotonic()
    with (HOME / "log" / "supervisor.log").open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "local", "supervise"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        return _await_ready(supervisor, started)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("\nStopping.")
        supervisor.terminate()
        supervisor.wait()
        return 130


def _await_ready(supervisor: "subprocess.Popen[bytes] | None", started: float) -> int:
    shown: set[str] = set()
    while not (found := state.read(HOME)).get("ready"):
        if (supervisor.poll() is not None) if supervisor else not state.running(HOME):
            print((HOME / "log" / "supervisor.log").read_text().strip(), file=sys.stderr)
            return 1
        _show_progress(found, shown, started)
        time.sleep(0.1)
    if supervisor:
        _show_progress(found, shown, started)
    _show_addresses(found)
    return 0


def _show_progress(found: Mapping[str, Any], shown: set[str], started: float) -> None:
    for child in found.get("children", []):
        if child["ready"] and child["name"] not in shown:
            shown.add(child["name"])
            print(f"  {child['name']:<14} {time.monotonic() - started:4.1f} s")


def _show_addresses(found: Mapping[str, Any]) -> None:
    print(f"Gateway  {found['url']}")
    if found["inbox"]:
        print(f"Inbox    {found['inbox']}")
    if any(child["name"] == "mongo" for child in found["children"]):
        print("MongoDB  is SecantusDB here, a stand-in for one machine (MONGO_URL names a real one)")
    print("See also make status, make logs, make down.")


def down() -> int:
    """Ends the stack, and returns when no process of it is left."""
    if not (found := state.read(HOME)) and not state.running(HOME):
        print("Nothing is running.")
        return 0
    until = time.monotonic() + DOWN_SECONDS
    if found and state.alive((found["pid"], found["ticks"])):
        state.end((found["pid"], found["ticks"]), DOWN_SECONDS)
    while state.running(HOME) and time.monotonic() < until:
        time.sleep(0.1)
    with suppress(state.AlreadyRunningError), state.lock(HOME):
        state.end_leftovers(HOME)
        print("Stopped.")
        return 0
    print("A stack is still starting or stopping; try again in a moment.", file=sys.stderr)
    return 1
