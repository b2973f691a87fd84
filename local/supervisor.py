"""`up`, `backing` and `down`: the stack of the checkout, kept by a process in the background."""

import json
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


def supervise(port: int, settings: Mapping[str, str], backing_only: bool) -> int:
    """Keeps the stack until a signal comes: what `up` and `backing` start in the background."""
    leave_on_signals()
    try:
        with Stack(HOME, port=port, overrides=settings, backing_only=backing_only):
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except (StartError, state.AlreadyRunningError) as error:
        print(error, file=sys.stderr)
        return 1


def up() -> int:
    """Starts everything unless it runs, and returns when all of it is ready; the exit code."""
    if code := _start("supervise"):
        return code
    _show_addresses(state.read(HOME))
    return 0


def backing(as_json: bool) -> int:
    """Starts the backing services alone, as `up` does, and prints their addresses as settings; the exit code."""
    if code := _start("supervise", "--backing", told=not as_json):
        return code
    settings = state.read(HOME)["settings"]
    print(json.dumps(settings, indent=2) if as_json else "\n".join(f"{key}={text}" for key, text in settings.items()))
    return 0


def _start(*words: str, told: bool = True) -> int:
    # Unless there is a supervisor already; `told` tells of the progress.
    if state.running(HOME):
        if told:
            print("Already up.")
        return _await_ready(None, time.monotonic(), told)
    (HOME / "log").mkdir(parents=True, exist_ok=True, mode=0o700)
    state.clear(HOME)
    if told:
        print("Starting; the first time takes a few seconds longer.")
    started = time.monotonic()
    with (HOME / "log" / "supervisor.log").open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "local", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        return _await_ready(supervisor, started, told)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("\nStopping.", file=sys.stderr if not told else sys.stdout)
        supervisor.terminate()
        supervisor.wait()
        return 130


def _await_ready(supervisor: "subprocess.Popen[bytes] | None", started: float, told: bool) -> int:
    shown: set[str] = set()
    while not (found := state.read(HOME)).get("ready"):
        if (supervisor.poll() is not None) if supervisor else not state.running(HOME):
            print((HOME / "log" / "supervisor.log").read_text().strip(), file=sys.stderr)
            return 1
        if told:
            _show_progress(found, shown, started)
        time.sleep(0.1)
    if supervisor and told:
        _show_progress(found, shown, started)
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
