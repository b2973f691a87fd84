"""The child, which process.py starts: turns the sound of a stranger's file into an MP3.

It reads nothing but its socket and writes nothing else, knows no address and no secret, and ends with its parent;
cage.py sees to it that this stays so. One job, then it ends. What it imports decides how fast a conversion starts.
"""

import ctypes
import os
import signal
import socket
import sys
from typing import NoReturn

from functions.convert import cage, conversion, lame, loudness
from functions.convert.conversion import Job
from functions.convert.errors import MediaError, NotCopyable
from functions.convert.remote import RemoteFile
from functions.convert.wire import MP3_BYTES, Channel, Kind, WireError, json_object

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(descriptor: int) -> None:
    """Does the one job that is waiting at `descriptor`."""
    _end_with_the_parent()
    channel = Channel(socket.socket(fileno=descriptor))
    _, data = channel.receive()
    job = Job(**json_object(data))
    lame.load()  # behind the cage's door no library can be opened
    if job.options.get("loudness") is not None:
        loudness.load()
    pool = cage.enter(job.threads, job.cpu_seconds)
    file = RemoteFile(channel, job.length, job.chunk_size)
    try:
        frame, figures = conversion.convert(file, job, _Outlet(channel), pool, file.expect)
    except MemoryError:
        channel.send(Kind.FAILED, b"unsupported")
    except MediaError as error:
        channel.send(Kind.FAILED, error.code.encode())
    except NotCopyable:
        channel.send(Kind.NOT_COPYABLE)
    else:
        channel.send(Kind.FRAME, frame)
        channel.send_json(Kind.RESULT, figures)


class _Outlet:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._percent = 0

    def labels(self, texts: dict[str, str], cover: bytes | None) -> None:
        self._channel.send_json(Kind.TEXTS, texts)
        if cover is not None:
            self._channel.send(Kind.COVER, cover)

    def mp3(self, data: bytes) -> None:
        for start in range(0, len(data), MP3_BYTES):
            self._channel.send(Kind.MP3, memoryview(data)[start : start + MP3_BYTES])

    def percent(self, percent: int) -> None:
        if percent > self._percent:
            self._percent = percent
            self._channel.send(Kind.PERCENT, bytes([percent]))


def _end_with_the_parent() -> None:
    # A decoder caught in a loop would not notice that the socket is closed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run() -> NoReturn:
    """The process from here to its end; its argument is the socket's descriptor."""
    try:
        main(int(sys.argv[1]))
    except WireError:
        os._exit(1)  # the parent is gone, or the job was stopped: nobody to tell
    os._exit(0)  # nothing to tidy up: taking libav down politely costs 20 ms
