"""The end of a process: how long work may go on, what is broken off then, and when a conversion stops."""

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from functions.common import draining
from functions.common.draining import Draining, ShuttingDown
from functions.convert import stopping
from functions.convert.stopping import Stop
from functions.upload.body import PIECE_BYTES, Body
from tests.converting import eventually


class Time:
    """A clock in place of the modules'."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(draining, "time", clock)
    monkeypatch.setattr(stopping, "time", clock)
    return clock


@pytest.mark.parametrize(("grace", "left"), [(5, 3), (560, 555), (0, 0)])
def test_the_last_of_the_grace_period_is_kept_for_tidying_up(clock: Time, grace: float, left: float) -> None:
    process = Draining()
    assert not process.begun

    process.begin(grace)

    assert (process.begun, process.left) == (True, left)


def test_being_told_twice_changes_nothing() -> None:
    process, cuts = Draining(), []
    process.attend(0.5)
    with process.cutting(lambda: cuts.append("cut")):
        process.tell()
        assert eventually(lambda: process.begun)
        until = process._until
        process.tell()
        assert eventually(lambda: process.ended)

    assert cuts == ["cut"]
    assert process._until <= until


def test_being_told_before_anybody_attends_is_not_forgotten() -> None:
    process = Draining()
    process.tell()

    process.attend(60)

    assert eventually(lambda: process.begun)


def test_a_wait_that_is_over_is_not_cut_and_one_that_begins_too_late_is_cut_at_once() -> None:
    process, cuts = Draining(), []
    with process.cutting(lambda: cuts.append("early")):
        pass
    process.end()
    with process.cutting(lambda: cuts.append("late")):
        assert cuts == ["late"]


def stop_of(process: Draining, clock: Time, percent: int) -> Stop:
    """Of a conversion that has been going on for 100 s and may for 380 more."""
    stop = Stop(SimpleNamespace(lost=threading.Event(), progress=percent), process, clock.now + 480)  # type: ignore[arg-type]
    clock.now += 100
    return stop


@pytest.mark.parametrize(
    ("percent", "grace", "stops"),
    [
        (50, 106, False),  # 100 s to go, and 101 left
        (50, 104, True),
        (99, 7, False),  # 1 s to go, and 4.2 left
        (0, 390, False),  # nobody knows, but the deadline comes first
        (0, 380, True),
        (1, 390, False),
    ],
)
def test_a_conversion_stops_if_it_would_not_be_done_in_time(
    clock: Time, percent: int, grace: float, stops: bool
) -> None:
    process = Draining()
    stop = stop_of(process, clock, percent)
    assert not stop.is_set()

    process.begin(grace)

    assert (stop.is_set(), stop.for_draining) == (stops, stops)


def test_a_conversion_that_turns_out_slower_stops_later_and_for_good(clock: Time) -> None:
    process = Draining()
    stop = stop_of(process, clock, 50)
    process.begin(150)
    assert not stop.is_set()

    clock.now += 60
    assert stop.is_set()
    stop._lease.progress = 99
    assert stop.is_set()


def test_a_lost_job_stops_without_blaming_the_end_of_the_process(clock: Time) -> None:
    stop = stop_of(Draining(), clock, 50)
    stop._lease.lost.set()

    assert (stop.is_set(), stop.for_draining) == (True, False)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a connection and the client's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def body_of(ours: socket.socket, process: Draining, announced: int | None) -> Body:
    """A request's body as gunicorn hands it over."""
    environ: dict[str, Any] = EnvironBuilder(method="POST", path="/v1/jobs").get_environ()
    environ |= {"wsgi.input": ours.makefile("rb"), "wsgi.input_terminated": True, "gunicorn.socket": ours}
    if announced is not None:
        environ["CONTENT_LENGTH"] = str(announced)
    return Body(Request(environ), process)


@pytest.mark.parametrize("announced", [None, 10_000])
def test_waiting_for_a_slow_client_ends_with_the_process(
    ends: tuple[socket.socket, socket.socket], announced: int | None
) -> None:
    process, (ours, client) = Draining(), ends
    body = body_of(ours, process, announced)
    client.sendall(b"x" * 100)
    timer = threading.Timer(0.2, process.end)
    timer.start()

    with pytest.raises(ShuttingDown):
        list(body)
    body.drain(1 << 30)  # reads no more either
    timer.join()
    body._request.environ["wsgi.input"].close()


def test_a_client_that_goes_on_sending_is_broken_off_all_the_same(ends: tuple[socket.socket, socket.socket]) -> None:
    process, (ours, client) = Draining(), ends
    body = body_of(ours, process, None)
    sending = threading.Thread(target=flood, args=[client])
    sending.start()
    pieces = iter(body)
    assert len(next(pieces)) == PIECE_BYTES

    process.end()

    with pytest.raises(ShuttingDown):
        next(pieces)
    client.shutdown(socket.SHUT_RDWR)
    sending.join(10)
    body._request.environ["wsgi.input"].close()


def flood(client: socket.socket) -> None:
    try:
        while True:
            client.sendall(bytes(65_536))
    except OSError:
        return
