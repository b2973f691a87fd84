"""What a crafted file may reach from within the child: nothing but its own bytes."""

import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from functions.convert import cage, formats
from functions.convert.cores import cores
from functions.convert.errors import MediaError
from tests import boxes, elements, hostile, media
from tests.converting import Conversion, Function, children
from tests.fakes import FakeMongo, FakePublisher

DISGUISED = dict.fromkeys(["hls behind an id3 tag", "hls behind an mp4 box", "hls behind the mark of wave"], "corrupt")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that plays, for whoever can open it."""
    path = tmp_path / "canary.wav"
    path.write_bytes(media.make("wav", seconds=2))
    return path


@pytest.fixture
def listener() -> Iterator["Listener"]:
    listening = Listener()
    yield listening
    listening.close()


class Listener:
    """Counts who connects to it."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/x.ts"
        self.calls = 0
        self._thread = threading.Thread(target=self._count)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _count(self) -> None:
        while True:
            try:
                self._server.accept()[0].close()
            except OSError:
                return
            self.calls += 1


@pytest.fixture
def function(mongo: FakeMongo, publisher: FakePublisher) -> Function:
    return Function(mongo, publisher)


def is_well(function: Function) -> bool:
    """Whether the function converts the next video as ever."""
    job_id = function.queued(media.make("wav", seconds=0.5))
    return function.deliver(job_id) == 200 and function.job(job_id)["result"]["samples"] == 24_000


@pytest.mark.parametrize("kind", sorted(hostile.playlists(Path("/x"), "")))
def test_a_playlist_is_a_failed_job_and_reaches_nothing(
    kind: str, canary: Path, listener: Listener, function: Function
) -> None:
    job_id = function.queued(hostile.playlists(canary, listener.url)[kind].encode())

    assert function.deliver(job_id) == 200

    job = function.job(job_id)
    # What begins like media counts as damaged media.
    assert (job["state"], job["error"]["code"]) == ("failed", DISGUISED.get(kind, "unsupported"))
    assert function.mongo.everything() == {"jobs": 1}
    assert [event.kind for _, event in function.publisher.published] == ["conversion.failed.v1"]
    assert listener.calls == 0
    assert is_well(function)


@pytest.mark.parametrize("kind", ["hls to a path", "hls to a host", "ffconcat to a host"])
@pytest.mark.parametrize("container", ["subtitles of an avi", "attached to an mkv"])
def test_a_playlist_within_a_video_is_not_followed(
    kind: str, container: str, canary: Path, listener: Listener, function: Function
) -> None:
    script = hostile.playlists(canary, listener.url)[kind]
    if container == "subtitles of an avi":
        data = hostile.avi_with_script(script)
    else:
        data = elements.with_attachment(script, listener.url)
    with av.open(io.BytesIO(data)) as source:  # or it would prove nothing
        assert {stream.type for stream in source.streams} & {"subtitle", "attachment", "data"}
    job_id = function.queued(data)

    assert function.deliver(job_id) == 200

    assert function.job(job_id)["result"]["duration"] == pytest.approx(1, abs=0.1)
    assert listener.calls == 0


def test_a_codec_that_is_not_on_the_list_is_not_decoded(function: Function) -> None:
    wav = bytearray(media.make("wav", seconds=1, rate=8_000, channels=1))
    wav[20:22] = (0x22).to_bytes(2, "little")  # TrueSpeech, which libav knows
    with av.open(io.BytesIO(wav)) as source:
        assert source.streams.audio[0].codec_context.name == "truespeech"
    job_id = function.queued(bytes(wav))

    assert function.deliver(job_id) == 200
    assert function.job(job_id)["error"]["code"] == "unsupported"


def test_no_decoder_is_opened_for_the_picture() -> None:
    # A decoder would have found out how the picture's dots are stored, which MP4 does not say.
    found = []
    for options in ({}, formats.OPTIONS):
        with av.open(io.BytesIO(media.make("mp4", seconds=1)), options=options) as source:
            found.append(source.streams.video[0].codec_context.pix_fmt)

    assert found == ["yuv420p", None]


def test_an_mp4_whose_sound_lies_in_another_file_reaches_nothing(canary: Path, tmp_path: Path) -> None:
    data = boxes.sound_elsewhere(str(canary))
    (tmp_path / "outside.mp4").write_bytes(data)
    options = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(str(tmp_path / "outside.mp4"), options=options) as reaching:  # or the file would prove nothing
        packet = next(reaching.demux(audio=0))
        assert bytes(packet) in canary.read_bytes()

    with pytest.raises(MediaError):
        Conversion(data).run()


@pytest.mark.parametrize("kind", ["hls to a path", "hls to a file url", "ffconcat to a path", "session description"])
def test_the_list_of_containers_refuses_a_playlist_by_itself(kind: str, canary: Path, tmp_path: Path) -> None:
    # Opened by name and with every protocol, as nothing is here: the other two walls are left out.
    path = tmp_path / "list.m3u8"
    path.write_text(hostile.playlists(canary, "")[kind])

    with pytest.raises(av.error.ArgumentError):
        av.open(str(path), options={"format_whitelist": formats.OPTIONS["format_whitelist"]})


def test_the_list_of_protocols_refuses_a_session_description_by_itself(canary: Path) -> None:
    # Without it, libav opens a port and waits there for somebody to send.
    description = io.BytesIO(hostile.playlists(canary, "")["session description"].encode())

    with pytest.raises(av.error.InvalidDataError):
        av.open(description, options={"protocol_whitelist": formats.OPTIONS["protocol_whitelist"]})


def test_the_child_has_nothing_of_the_parents_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_URL", "mongodb://canary")
    seen: dict[str, bytes] = {}

    def look(percent: int) -> None:
        for pid in children() if percent < 50 else []:
            seen["environment"] = Path(f"/proc/{pid}/environ").read_bytes()
            seen["open"] = b" ".join(sorted(bytes(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()))

    Conversion(media.make("mp4"), on_progress=look).run()

    names = {entry.partition(b"=")[0] for entry in seen["environment"].split(b"\0") if entry}
    assert names == {b"LANG", b"PYTHONPATH"}
    assert b"canary" not in seen["environment"]
    kinds = sorted(place.split(b":")[0] for place in seen["open"].split())
    assert kinds == [b"/dev/null", b"/dev/null", b"pipe", b"socket"]


def test_every_thread_of_a_conversion_s_child_is_locked_in() -> None:
    seen: dict[str, list[str]] = {}

    def look(percent: int) -> None:
        for pid in children() if percent < 50 else []:
            seen["threads"] = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
            seen["limits"] = Path(f"/proc/{pid}/limits").read_text().splitlines()

    Conversion(media.make("mp4"), on_progress=look).run()

    assert len(seen["threads"]) >= 1 + cores()
    assert all("NoNewPrivs:\t1\n" in status for status in seen["threads"])
    hard = {line[:26].strip(): line.split()[-2] for line in seen["limits"] if "unlimited" not in line.split()[-2]}
    nothing = ["Max open files", "Max processes", "Max file size", "Max core file size"]
    assert [hard[name] for name in nothing] == ["0"] * 4
    assert int(hard["Max address space"]) == cage.MEMORY_BYTES + (cores() - 1) * cage.THREAD_BYTES
    assert 0 < int(hard["Max cpu time"]) <= 60 * (cores() + 1)
