"""The same conversions without Kubernetes, queues or mail: two processes of convert, one job after the other each."""

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from bench.goods import Goods, open_account
from bench.serving import ROOT, Served
from bench.starting import send_event
from local.stack import Stack

PROCESSES = 2
PIECE_BYTES = 1_000_000


def seconds(video: Path, count: int) -> float:
    """How long `count` conversions of `video` take; storing the videos is not counted, as nothing is uploaded here."""
    home = ROOT / ".loadtest" / "reference"
    shutil.rmtree(home, ignore_errors=True)
    with Stack(home, backing_only=True) as backing:
        goods = open_account(backing)
        jobs: SimpleQueue[dict[str, Any]] = SimpleQueue()
        for _ in range(count):
            jobs.put(goods.queued_job(_pieces(video)))
        taken = _convert(goods, jobs)
    shutil.rmtree(home)
    return taken


def _convert(goods: Goods, jobs: "SimpleQueue[dict[str, Any]]") -> float:
    with ExitStack() as open_processes:
        served = [open_processes.enter_context(goods.serving("convert")) for _ in range(PROCESSES)]
        gate = threading.Barrier(PROCESSES + 1)
        with ThreadPoolExecutor(PROCESSES) as workers:
            ends = [workers.submit(_work, process, jobs, gate) for process in served]
            gate.wait()
            began = time.monotonic()
            for end in ends:
                end.result()
        return time.monotonic() - began


def _work(process: Served, jobs: "SimpleQueue[dict[str, Any]]", gate: threading.Barrier) -> None:
    gate.wait()
    while True:
        try:
            job = jobs.get_nowait()
        except Empty:
            return
        status, answer = send_event(process, job)
        if status != 200:
            raise RuntimeError(f"convert answered {status}: {answer!r}")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
