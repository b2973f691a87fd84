"""The converting child as a process: it is always ended, and its end is always told apart.

`KILLS=200 pytest -k whenever` kills it at more moments than the suite has time for.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from functions.convert import child
from functions.convert.errors import ChildDied, MediaError, Stopped
from functions.convert.process import STDERR_BYTES, Child
from functions.convert.wire import Kind, WireError
from tests import media
from tests.converting import Conversion, Function, children, eventually, is_running
from tests.fakes import FakeMongo, FakePublisher

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("KILLS", "20"))


@pytest.fixture
def video() -> bytes:
    return media.make("mp4", seconds=40)


@pytest.fixture(autouse=True)
def nobody_stays_behind() -> None:
    yield
    assert children() == []
    assert eventually(lambda: not any(thread.name.startswith("watch of") for thread in threading.enumerate()))


def signal_child(number: int) -> Callable[[int], None]:
    """Sends the signal once, some way into the conversion."""
    sent: list[int] = []

    def act(percent: int) -> None:
        if percent >= 20 and not sent:
            sent.extend(children())
            os.kill(sent[0], number)

    return act


def test_a_killed_child_is_told_and_the_next_conversion_works(video: bytes) -> None:
    with pytest.raises(ChildDied):
        Conversion(video, on_progress=signal_child(signal.SIGKILL)).run()

    assert Conversion(video).run().duration == pytest.approx(40, abs=0.1)


@pytest.mark.parametrize("seed", range(KILLS))
def test_whenever_the_child_is_killed_the_job_is_tried_again_and_done(
    mongo: FakeMongo, publisher: FakePublisher, seed: int
) -> None:
    chance, function = random.Random(seed), Function(mongo, publisher)
    video = media.make(chance.choice(["mp4", "mkv mp3", "wav"]), seconds=6)
    job_id = function.queued(video, chance.choice([None, {"loudness": -20.0}, {"quality": "64"}]))
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())

    with killing(after=chance.uniform(0, 0.4)) as killed:
        answers = [function.deliver(job_id)]
    while answers[-1] != 200 and len(answers) < 5:
        answers.append(function.deliver(job_id))

    assert answers in ([200], [503, 200])
    assert killed or answers == [200]
    job = function.job(job_id)
    assert job["state"] == "done"
    assert len(media.decoded(function.mp3(job_id))[1][0]) == job["result"]["samples"]
    assert mongo.everything().keys() == {"jobs", "mp3s.files", "mp3s.chunks"}
    assert [event.kind for _, event in publisher.published] == ["mp3.ready.v1"]
    assert sorted(path.name for path in Path("/proc/self/fd").iterdir()) == before


@contextmanager
def killing(after: float) -> Iterator[list[int]]:
    """Kills the first child that comes up, so many seconds later; gives its number, once it is killed."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not (pids := children()) and not over.wait(0.002):
            pass
        if pids and not over.wait(after):
            with suppress(ProcessLookupError):
                os.kill(pids[0], signal.SIGKILL)
                killed.append(pids[0])

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def test_a_crashed_child_is_told(video: bytes) -> None:
    with pytest.raises(ChildDied):
        Conversion(video, on_progress=signal_child(signal.SIGSEGV)).run()


def test_a_child_that_hangs_is_killed_at_the_deadline(video: bytes) -> None:
    pids: list[int] = []
    conversion = Conversion(video, seconds=2)
    conversion.on_progress = lambda percent: (pids.extend(children()), signal_child(signal.SIGSTOP)(percent))

    with pytest.raises(MediaError, match="time_limit"):
        conversion.run()

    assert not is_running(pids[0])
    with pytest.raises(ProcessLookupError):
        os.killpg(pids[0], 0)


def test_a_fetch_that_hangs_does_not_outlive_the_deadline(video: bytes) -> None:
    freed = threading.Event()

    with pytest.raises(MediaError, match="time_limit"):
        Conversion(video, seconds=1, on_fetch=lambda first: first and freed.wait(30)).run()

    freed.set()


def test_stopping_ends_the_conversion(video: bytes) -> None:
    conversion = Conversion(video)
    # Held back meanwhile, so that the child cannot have finished first.
    conversion.on_progress = lambda percent: (conversion.stopped.set(), time.sleep(0.5))

    with pytest.raises(Stopped):
        conversion.run()


def test_one_that_is_stopped_beforehand_does_not_run_to_its_end(video: bytes) -> None:
    conversion = Conversion(video, on_fetch=lambda first: time.sleep(0.5))
    conversion.stopped.set()

    with pytest.raises(Stopped):
        conversion.run()


class AwayError(Exception):
    """A store that is away."""


@pytest.mark.parametrize("where", ["on_fetch", "on_write", "on_progress"])
@pytest.mark.parametrize("error", [AwayError("gone"), ConnectionResetError("reset"), TimeoutError("late")])
def test_what_the_callers_functions_raise_comes_through(video: bytes, where: str, error: Exception) -> None:
    def fail(_: object) -> None:
        raise error

    conversion = Conversion(video)
    setattr(conversion, where, fail)

    with pytest.raises(type(error)) as caught:
        conversion.run()

    assert caught.value is error


def test_a_store_that_fails_in_the_middle_comes_through_from_the_thread_that_reads_ahead(video: bytes) -> None:
    def fail(first: int) -> None:
        if first > 10:
            raise AwayError

    with pytest.raises(AwayError):
        Conversion(video, on_fetch=fail).run()


@pytest.mark.parametrize("is_hung", [False, True])
def test_the_child_ends_with_its_parent(video: bytes, tmp_path: Path, is_hung: bool) -> None:
    (tmp_path / "video").write_bytes(video)
    script = (
        "import sys, time; from pathlib import Path; from tests.converting import Conversion\n"
        "def progress(percent): print(percent, flush=True); time.sleep(60)\n"
        "Conversion(Path(sys.argv[1]).read_bytes(), on_progress=progress).run()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "video")], cwd=ROOT, stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        (its_child,) = children(parent.pid)
        if is_hung:
            os.kill(its_child, signal.SIGSTOP)

        parent.kill()

        assert eventually(lambda: not is_running(its_child))


def test_what_the_child_complains_of_goes_to_the_log_in_bounds(caplog: pytest.LogCaptureFixture) -> None:
    with Child() as complaining:
        complaining.channel.send_json(Kind.JOB, {"length": 10})
        with pytest.raises(WireError):
            complaining.channel.receive()  # it trips over the lack of a chunk size

    (record,) = caplog.records
    assert "missing 1 required positional argument: 'chunk_size'" in record.stderr
    assert len(record.stderr) <= STDERR_BYTES


def test_the_source_is_fetched_ahead_in_batches_and_none_twice(video: bytes) -> None:
    conversion = Conversion(media.make("mkv", seconds=40))

    result = conversion.run()

    assert result.bytes_read == len(conversion.data)
    assert max(conversion.batches) == 8
    assert len(conversion.batches) < result.bytes_read / conversion.chunk / 4


def test_only_the_chunks_that_hold_sound_are_fetched() -> None:
    # As phones and cameras write: five seconds of picture, then five of sound. A tenth of the bytes is sound.
    recipe = media.Kind("mp4", options={"movflags": "faststart", "chunk_duration": "5000000"})
    conversion = Conversion(media.made(recipe, seconds=40), chunk=32_768)

    result = conversion.run()

    assert result.duration == pytest.approx(40, abs=0.1)
    assert result.bytes_read < 0.35 * len(conversion.data)


def test_the_mp3_is_the_same_on_however_many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, made = media.make("flac", seconds=80, channels=1), []

    for count in (1, 2, 5):
        monkeypatch.setattr(child, "cores", lambda count=count: count)
        conversion = Conversion(sound)
        conversion.run()
        made.append(conversion.mp3)

    assert made[0] == made[1] == made[2]


def test_the_parent_holds_no_socket_afterwards(video: bytes) -> None:
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())

    Conversion(video).run()

    assert sorted(path.name for path in Path("/proc/self/fd").iterdir()) == before
    assert not socket.getdefaulttimeout()
