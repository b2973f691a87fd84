"""`python -m tests.chaos SEED JOBS`: a bounded storm over a stack of its own, then the checker's table.

Eight clients upload while functions, sources and servers are killed and frozen, two at a time at most, connections are
dropped, and the broker's data is wiped once. Exit code 1 when a promise was broken; the stack's home then stays.
"""

import logging
import queue
import shutil
import sys
import threading
import time
from collections.abc import Sequence

from local import supervisor
from local.stack import Stack
from tests.chaos.aftermath import Aftermath
from tests.chaos.checker import Checker, Row
from tests.chaos.client import Upload, planned, visit
from tests.chaos.faults import Faults
from tests.conftest import SCALED
from tests.e2e.account import Account

CLIENTS = 8
AFTER_SECONDS = 15.0
SETTLE_SECONDS = 180.0  # without a further job's end, bound the wait for rest: a mail may wait for one of these minutes


def storm(stack: Stack, seed: int, count: int) -> list[Row]:
    """The storm and its aftermath; the table."""
    checker, waiting = Checker(), queue.SimpleQueue[Upload]()
    for what in planned(seed, count):
        waiting.put(what)
    accounts = [Account(stack.url, stack.inbox_url) for _ in range(CLIENTS)]
    clients = [threading.Thread(target=_work, args=(account, waiting, checker), daemon=True) for account in accounts]
    faults = Faults(stack, seed)
    faults.start()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    # What was accepted last is still to be converted and mailed in the storm.
    time.sleep(AFTER_SECONDS)
    faults.stop()
    say(f"{count} uploads and {len(faults.done)} faults are over; waiting for rest")
    return _aftermath(stack, checker, faults, accounts)


def _work(account: Account, waiting: "queue.SimpleQueue[Upload]", checker: Checker) -> None:
    while True:
        try:
            what = waiting.get_nowait()
        except queue.Empty:
            return
        time.sleep(what.pause)
        visit(account, what, checker)


def _aftermath(stack: Stack, checker: Checker, faults: Faults, accounts: Sequence[Account]) -> list[Row]:
    aftermath, began = Aftermath(stack), time.monotonic()
    restless = aftermath.settle(SETTLE_SECONDS)
    say(f"{time.monotonic() - began:.0f} s later")
    aftermath.janitor()
    found = aftermath.jobs({account.email: account for account in accounts})
    rows = checker.rows(found, aftermath.mails(), aftermath.orphans(), faults.disturbed)
    return [*rows, Row("restless", tuple(restless), forbidden=True)]


def show(rows: Sequence[Row]) -> None:
    """Prints the table; what is broken with its names."""
    for row in rows:
        names = f"  BROKEN: {', '.join(row.names[:20])}" if row.broken else ""
        print(f"  {row.what:<24}{len(row.names):>5}{names}")


def say(text: str) -> None:
    """One line of the story."""
    print(text, flush=True)


def main(seed: int, count: int) -> int:
    """One storm; the exit code."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    supervisor.leave_on_signals()
    home, began = supervisor.HOME / "chaos" / str(seed), time.monotonic()
    shutil.rmtree(home, ignore_errors=True)
    say(f"A storm with SEED={seed} JOBS={count}")
    with Stack(home, overrides=SCALED) as stack:
        rows = storm(stack, seed, count)
    show(rows)
    broken = any(row.broken for row in rows)
    say(f"{'BROKEN' if broken else 'Nothing is broken'}; {time.monotonic() - began:.0f} s" + f"; see {home}" * broken)
    if not broken:
        shutil.rmtree(home)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
