"""Does to a stack what the schedule says, two things at a time at most, never two to the same child.

`disturbed` is when the record of a mail may not have been written: a mail that was handed over then may come twice.
"""

import shutil
import subprocess
import threading
import time

from local import rabbitmq
from local.stack import Stack
from tests.chaos.schedule import FROZEN, KILLED, LEAST, Fault, dealt

HANDS = 2
FILL = 5  # messages that are lost with the broker's data,
FILL_SECONDS = 30.0  # if there come so many
OF_MAIL = ("notify", "mongo", "inbox")


class Faults:
    """Breaks things from `start` to `stop`, but not before the first deck was dealt."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._schedule = dealt(seed)
        self._dealing = threading.Lock()
        self._suffering = {name: threading.Lock() for name in (*KILLED, *FROZEN)}
        self._leaving = threading.Event()
        self._hands = [threading.Thread(target=self._work, name="faults", daemon=True) for _ in range(HANDS)]
        self._error: BaseException | None = None
        self._began = time.monotonic()
        self.done: list[Fault] = []
        self.disturbed: list[tuple[float, float]] = []

    def start(self) -> None:
        """Begins."""
        for hand in self._hands:
            hand.start()

    def stop(self) -> None:
        """Returns when the last fault is over and everything may run again. Raises what a fault raised."""
        self._leaving.set()
        for hand in self._hands:
            hand.join()
        if self._error:
            raise self._error

    def _work(self) -> None:
        try:
            while self._error is None and not (self._leaving.is_set() and len(self.done) >= LEAST):
                with self._dealing:
                    fault = next(self._schedule)
                    self.done.append(fault)
                time.sleep(fault.pause)
                with self._suffering[fault.name]:
                    self._at(fault)
        except BaseException as error:
            self._error = error

    def _at(self, fault: Fault) -> None:
        begin = time.time()
        print(f"{time.monotonic() - self._began:6.0f} s  {fault.how} {fault.name}, {fault.seconds:.1f} s", flush=True)
        if fault.how == "freeze":
            with self._stack.frozen(fault.name):
                time.sleep(fault.seconds)
        elif fault.how == "wipe":
            self._wipe(fault.seconds)
        elif fault.how == "kill":
            with self._stack.away(fault.name):
                time.sleep(fault.seconds)
        else:
            self._drop()
        if fault.name in OF_MAIL and fault.outlasts_a_lease:
            self.disturbed.append((begin, time.time()))

    def _wipe(self, seconds: float) -> None:
        # With nothing in it there would be nothing to lose: so nobody takes from it for a while.
        with self._suffering["source-video"], self._stack.away("source-video"):
            until = time.monotonic() + FILL_SECONDS
            while (lost := rabbitmq.depths(self._stack.rabbitmq_url)["video"]) < FILL and time.monotonic() < until:
                time.sleep(0.2)
            print(f"wiped: {lost} jobs to be converted", flush=True)
            with self._stack.away("rabbitmq"):
                shutil.rmtree(self._stack.home / "rabbitmq" / "data")
                time.sleep(seconds)

    def _drop(self) -> None:
        command = [str(rabbitmq.SCRIPT.with_name("rabbitmqctl")), "-q", "close_all_connections", "a storm"]
        environment = dict(self._stack.child("rabbitmq").program.environment)
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
