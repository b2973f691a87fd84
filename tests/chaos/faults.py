"""What goes wrong in a storm, drawn from a seeded generator, one thing at a time.

`disturbed` is when the record of a mail may not have been written: a mail that was handed over then may come twice.
"""

import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from local import rabbitmq
from local.stack import Stack

KILLED = (
    "upload",
    "convert",
    "notify",
    "download",
    "auth",
    "source-video",
    "source-mp3",
    "rabbitmq",
    "mongo",
    "mariadb",
)
FROZEN = ("upload", "convert", "notify", "source-video", "rabbitmq", "mongo", "inbox")
OF_MAIL = ("notify", "mongo", "inbox")
PAUSE_SECONDS = (0.5, 3.0)
FREEZE_SECONDS = (1.0, 8.0)  # the lease of the tests is 4 s
AWAY_SECONDS = (0.0, 4.0)


class Faults(threading.Thread):
    """Breaks things until `stop`; `wipe_when` says when the broker's data is to be wiped, which is done once."""

    def __init__(self, stack: Stack, seed: int, wipe_when: Callable[[], bool]) -> None:
        super().__init__(name="faults", daemon=True)
        self._stack = stack
        self._random = random.Random(f"{seed} faults")
        self._wipe_when = wipe_when
        self._leaving = threading.Event()
        self.done: list[str] = []
        self.disturbed: list[tuple[float, float]] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        """The thread itself."""
        wiped = False
        try:
            while not self._leaving.wait(self._random.uniform(*PAUSE_SECONDS)):
                if not wiped and self._wipe_when():
                    wiped = True
                    self._at("rabbitmq", "wipe", self._wipe)
                else:
                    self._one()
            if not wiped:
                self._at("rabbitmq", "wipe", self._wipe)
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        """Returns when the last fault is over and everything may run again."""
        self._leaving.set()
        self.join()
        if self.error:
            raise self.error

    def _one(self) -> None:
        # All is drawn before anything is done, so that a seed means the same sequence whatever each takes.
        how = self._random.choices(("kill", "freeze", "drop"), (6, 3, 1))[0]
        name = self._random.choice(FROZEN if how == "freeze" else KILLED)
        frozen, away = self._random.uniform(*FREEZE_SECONDS), self._random.uniform(*AWAY_SECONDS)
        if how == "kill":
            self._at(name, "kill", lambda: self._kill(name, away))
        elif how == "freeze":
            self._at(name, f"freeze {frozen:.1f} s", lambda: self._freeze(name, frozen))
        else:
            self._at("rabbitmq", "drop connections", self._drop)

    def _at(self, name: str, how: str, do: Callable[[], None]) -> None:
        begin = time.time()
        do()
        self.done.append(f"{how} {name}")
        print(f"  {how} {name}", flush=True)
        if name in OF_MAIL:
            self.disturbed.append((begin, time.time()))

    def _kill(self, name: str, away: float) -> None:
        child = self._stack.child(name)
        child.hold()
        child.kill()
        time.sleep(away)
        child.release()
        self._stack.await_ready(name)

    def _freeze(self, name: str, seconds: float) -> None:
        with self._stack.frozen(name):
            time.sleep(seconds)

    def _drop(self) -> None:
        command = [str(rabbitmq.SCRIPT.with_name("rabbitmqctl")), "-q", "close_all_connections", "a storm"]
        environment = dict(self._stack.child("rabbitmq").program.environment)
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)

    def _wipe(self) -> None:
        home: Path = self._stack.home / "rabbitmq" / "data"
        with self._stack.away("rabbitmq"):
            shutil.rmtree(home)
