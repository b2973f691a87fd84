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
from tests import hostile, media
from tests.converting import Conversion, children


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


def playlists(path: Path, url: str) -> dict[str, str]:
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n{}#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n'
    return {
        "hls to a path": hls.format("", path),
        "hls to a file url": hls.format("", f"file://{path}"),
        "hls to a host": hls.format("", url),
        "hls with a key from a host": hls.format(key, path),
        "hls joining files": hls.format("", f"concat:{path}|{path}"),
        "hls to a part of a file": hls.format("", f"subfile,,start,0,end,1000,,:{path}"),
        "hls to the environment": hls.format("", "file:///proc/self/environ"),
        "ffconcat to a path": f"ffconcat version 1.0\nfile '{path}'\n",
        "ffconcat to a host": f"ffconcat version 1.0\nfile '{url}'\n",
        "session description": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
        "hls to a relative path": hls.format("", path.name),
        "hls behind an id3 tag": "ID3\x04\0\0\0\0\0\0" + hls.format("", url),
        "hls behind an mp4 box": "\0\0\0\x10ftypisom\0\0\0\0" + hls.format("", url),
        "hls behind the mark of wave": "RIFF\x10\0\0\0WAVE" + hls.format("", url),
        "hls behind a byte order mark": "\ufeff" + hls.format("", url),
        "ffconcat to a relative path": f"ffconcat version 1.0\nfile {path.name}\n",
        "ffconcat with options": f"ffconcat version 1.0\nfile '{url}'\noption protocol_whitelist file,http,tcp\n",
        "xspf": f'<?xml version="1.0"?><playlist version="1"><trackList><track><location>{url}</location></track>'
        "</trackList></playlist>",
        "pls": f"[playlist]\nNumberOfEntries=1\nFile1={url}\n",
        "asx": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
        "windows media redirector": f"[Reference]\nRef1={url}?MSWMExt=.asf\n",
        "real media": f"rtsp://{url.removeprefix('http://')}\n",
        "smil": f'<smil><body><audio src="{url}"/></body></smil>',
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
    }


@pytest.mark.parametrize("kind", sorted(playlists(Path("/x"), "")))
def test_a_playlist_is_refused_and_reaches_nothing(kind: str, canary: Path, listener: Listener) -> None:
    conversion = Conversion(playlists(canary, listener.url)[kind].encode())

    with pytest.raises(MediaError) as caught:
        conversion.run()

    # What begins like media counts as damaged media.
    assert caught.value.code in ("unsupported", "corrupt" if "behind" in kind else "unsupported")
    assert conversion.mp3 == b""
    assert listener.calls == 0


def test_an_mp4_whose_sound_lies_in_another_file_reaches_nothing(canary: Path, tmp_path: Path) -> None:
    data = hostile.sound_elsewhere(str(canary))
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
    path.write_text(playlists(canary, "")[kind])

    with pytest.raises(av.error.ArgumentError):
        av.open(str(path), options={"format_whitelist": formats.OPTIONS["format_whitelist"]})


def test_the_list_of_protocols_refuses_a_session_description_by_itself(canary: Path) -> None:
    # Without it, libav opens a port and waits there for somebody to send.
    description = io.BytesIO(playlists(canary, "")["session description"].encode())

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
