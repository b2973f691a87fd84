"""Rows: from a process's start to its open port and to its first useful answer, against functions-framework's hello."""

import statistics
import time
from collections.abc import Iterator

from bench.goods import Goods, media_like
from bench.rows import Row, median_ratio
from bench.serving import Served
from functions.common.events import announcement
from functions.common.mongo import Document

ROUNDS = 9
NAMES = ("hello", "auth", "upload", "convert", "notify", "download")
FIRST = {
    "auth": ("a login", "<= 1.6"),
    "upload": ("a 1 kB upload's answer", "<= 2.4"),
    "convert": ("an event for a finished job", "<= 2.4"),
    "notify": ("an event for a finished job", "<= 2.4"),
    "download": ("a job's GET", "<= 2.4"),
}


def starts(goods: Goods) -> Iterator[Row]:
    """All six in turns, the order shifted by one each round; the first round only warms the page cache."""
    job = goods.finished_job(media_like(1000))
    opened: dict[str, list[float]] = {name: [] for name in NAMES}
    answered: dict[str, list[float]] = {name: [] for name in NAMES}
    for round_ in range(ROUNDS + 1):
        shift = round_ % len(NAMES)
        for name in NAMES[shift:] + NAMES[:shift]:
            with goods.serving(name) as function:
                _first_answer(name, function, goods, job)
                answered[name].append(time.monotonic() - function.spawned)
                opened[name].append(function.opened)
    for name in NAMES[1:]:
        yield _row(f"start to open port ÷ hello: {name}", opened[name][1:], opened["hello"][1:], "<= 1.3")
    for name, (what, bar) in FIRST.items():
        label = f"start to first answer ÷ hello: {name}, {what}"
        yield _row(label, answered[name][1:], answered["hello"][1:], bar)


def _row(name: str, ours: list[float], hello: list[float], bar: str) -> Row:
    times = f"{statistics.median(ours) * 1000:.0f} ms against {statistics.median(hello) * 1000:.0f} ms"
    return Row(name, median_ratio(ours, hello), bar, "x", times)


def _first_answer(name: str, function: Served, goods: Goods, job: Document) -> None:
    if name == "hello":
        status, body = function.call("GET", "/")
    elif name == "auth":
        status, body = function.call("POST", "/login", headers={"Authorization": goods.basic})
    elif name == "upload":
        status, body = function.call("POST", "/v1/jobs", b"".join(media_like(1000)), goods.bearer)
    elif name == "download":
        status, body = function.call("GET", f"/v1/jobs/{job['_id']}", headers=goods.bearer)
    else:
        status, body = send_event(function, job)
    assert status in (200, 202), (name, status, body)


def send_event(function: Served, job: Document) -> tuple[int, bytes]:
    """What the source posts when `job` has announced itself; status and body of the answer."""
    event = announcement(job["_id"], job["state"])
    return function.call("POST", "/", event.body(), {"Content-Type": "application/cloudevents+json"})
