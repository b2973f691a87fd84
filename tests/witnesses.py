"""What programs that share no code with the converter find in an MP3: ffprobe, ffmpeg, mpg123, mutagen."""

import array
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from mutagen.mp3 import MP3

from functions.convert.child import Result


@dataclass(frozen=True)
class Seen:
    """`samples` without what is to be cut off: `delay` in front (a decoder's own 529 with it) and `padding` behind."""

    rate: int
    channels: int
    frames: int
    delay: int
    padding: int
    samples: int


def ffprobe(mp3: Path) -> dict[str, Any]:
    """Its whole account: format, streams and packets."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_packets", str(mp3)]
    said = subprocess.run(command, capture_output=True, check=True)
    assert said.stderr == b""
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def seen_by_ffprobe(mp3: Path) -> Seen:
    """From the frames and what it would cut off of them."""
    found = ffprobe(mp3)
    (stream,) = (stream for stream in found["streams"] if stream["codec_type"] == "audio")
    packets = [packet for packet in found["packets"] if packet["codec_type"] == "audio"]
    rate, cuts = int(stream["sample_rate"]), [cut for packet in packets for cut in packet.get("side_data_list", [])]
    delay = sum(cut.get("skip_samples", 0) for cut in cuts)
    padding = sum(cut.get("discard_padding", 0) for cut in cuts)
    samples = len(packets) * (1152 if rate >= 32_000 else 576) - delay - padding
    return Seen(rate, stream["channels"], len(packets), delay, padding, samples)


def seconds_by_mutagen(mp3: Path) -> float:
    """By the numbers in the first frame alone."""
    return float(MP3(mp3).info.length)


def samples_by_mpg123(mp3: Path) -> list[array.array]:
    """What it plays, by channel, as floats."""
    wav = mp3.with_suffix(".mpg123.wav")
    said = subprocess.run(["mpg123", "-q", "-e", "f32", "-w", wav, mp3], capture_output=True, check=True)
    assert said.stderr == b""
    with av.open(str(wav)) as source:
        interleaved = array.array("f")
        for frame in source.decode(audio=0):
            channels = len(frame.layout.channels)
            interleaved.frombytes(bytes(frame.planes[0])[: 4 * channels * frame.samples])
    return [interleaved[n::channels] for n in range(channels)]


def agree(mp3: Path, result: Result) -> None:
    """Asserts that all find in the file what the conversion says of it: duration, delay, frames."""
    seen, played, data = seen_by_ffprobe(mp3), samples_by_mpg123(mp3), mp3.read_bytes()
    assert (seen.rate, seen.channels, seen.samples) == (result.rate, result.channels, result.samples)
    # Where the source of a copy tells no delay, neither does the copy, and mpg123 cuts off its own.
    assert {len(channel) for channel in played} == {result.samples - (0 if seen.delay else 529)}
    assert len(played) == result.channels
    assert abs(seconds_by_mutagen(mp3) - result.samples / result.rate) < 1e-6
    assert data.count(b"Xing") + data.count(b"Info") == 1
    at = max(data.find(mark) for mark in (b"Xing", b"Info"))
    assert int.from_bytes(data[at + 8 : at + 12], "big") == seen.frames


def loudness_by_ffmpeg(media: Path) -> tuple[float, float]:
    """Integrated loudness (LUFS) and true peak (dBFS), to a tenth."""
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", media, "-filter:a", "ebur128=peak=true:framelog=verbose"]
    said = subprocess.run([*command, "-f", "null", "-"], capture_output=True, check=True, text=True).stderr
    loudness, peak = re.search(r"I: +(\S+) LUFS", said), re.search(r"Peak: +(\S+) dBFS", said)
    assert loudness
    assert peak
    return float(loudness[1]), float(peak[1])


def cover_by_ffmpeg(mp3: Path) -> bytes:
    """The bytes of the picture."""
    command = ["ffmpeg", "-v", "error", "-i", mp3, "-map", "0:v", "-c", "copy", "-f", "image2pipe", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout
