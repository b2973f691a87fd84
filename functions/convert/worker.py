"""The child: `python -m functions.convert.worker FD` turns the sound of a stranger's file into an MP3.

It reads nothing but the socket FD and writes nothing else, knows no address and no secret, and ends with its parent.
One job, then it ends. What it imports decides how fast a conversion starts.
"""

import ctypes
import os
import signal
import socket
import sys
import time
from typing import Any

from functions.convert.errors import MediaError
from functions.convert.lame import Encoder
from functions.convert.media import Sound
from functions.convert.remote import RemoteFile
from functions.convert.wire import MP3_BYTES, Channel, Kind, WireError, json_object

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(descriptor: int) -> None:
    """Does the one job that is waiting at `descriptor`."""
    _end_with_the_parent()
    channel = Channel(socket.socket(fileno=descriptor))
    _, data = channel.receive()
    job = json_object(data)
    try:
        head, figures = _convert(channel, RemoteFile(channel, job["length"], job["chunk_size"]), job["length"])
    except MediaError as error:
        channel.send(Kind.FAILED, error.code.encode())
    else:
        channel.send(Kind.HEAD, head)
        channel.send_json(Kind.RESULT, figures)


def _convert(channel: Channel, file: RemoteFile, length: int) -> tuple[bytes, dict[str, Any]]:
    with Sound(file, length) as sound:
        encoder = Encoder(sound.rate, sound.channels)
        samples, percent, waiting = 0, 0, bytearray()
        for frame in sound.frames():
            waiting += encoder.feed(frame.planes[0].buffer_ptr, frame.planes[-1].buffer_ptr, frame.samples)
            samples += frame.samples
            if len(waiting) >= MP3_BYTES:
                channel.send(Kind.MP3, waiting)
                waiting.clear()
            if sound.percent > percent:
                percent = sound.percent
                channel.send(Kind.PERCENT, bytes([percent]))
        channel.send(Kind.MP3, waiting + encoder.flush())
        figures = {"samples": samples, "rate": sound.rate, "channels": sound.channels, "codec": sound.codec}
        return encoder.tag(), {**figures, "cpu_seconds": round(time.process_time(), 3)}


def _end_with_the_parent() -> None:
    # A decoder caught in a loop would not notice that the socket is closed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except WireError:
        os._exit(1)  # the parent is gone, or the job was stopped: nobody to tell
    os._exit(0)  # nothing to tidy up: taking libav down politely costs 20 ms
