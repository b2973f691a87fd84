"""Small media files made with PyAV alone, the same bytes each time they are asked for in a session.

Each has a tone per channel (TONES), and mostly a noisy picture, so that sound and picture lie interleaved as in real
files. `make("mp4")` gives bytes; KINDS names what there is.
"""

import array
import functools
import math
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypedDict, Unpack

import av
from av.audio.resampler import AudioResampler
from av.stream import Disposition

TONES = (440.0, 660.0)  # Hz; by channel, in turn
_WIDTH, _HEIGHT, _FPS = 160, 120, 10
_OWN_BIT_RATE = {"flac", "alac", "tta", "wavpack", "libopencore_amrnb", "nellymoser"}  # whatever one asks for


@dataclass(frozen=True)
class Kind:
    """How one sort of file is made; a codec None leaves that stream out. Some codecs know one rate or channel only."""

    format: str
    audio: str | None = "aac"
    video: str | None = "mpeg4"
    options: dict[str, str] = field(default_factory=dict)
    rate: int = 48_000  # Hz
    channels: int = 2


KINDS = {
    "mp4": Kind("mp4", options={"movflags": "faststart"}),
    "mp4 moov last": Kind("mp4"),
    "mp4 fragmented": Kind("mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
    "mp4 alac": Kind("mp4", audio="alac"),
    "mp4 ac3": Kind("mp4", audio="ac3"),
    "mp4 opus": Kind("mp4", audio="libopus"),
    "mov": Kind("mov", audio="pcm_s16le"),
    "3gp amr": Kind("3gp", audio="libopencore_amrnb", rate=8_000, channels=1),
    "mkv": Kind("matroska"),
    "mkv mp3": Kind("matroska", audio="libmp3lame"),
    "mkv eac3": Kind("matroska", audio="eac3"),
    "mkv pcm": Kind("matroska", audio="pcm_s24le"),
    "mka tta": Kind("matroska", audio="tta", video=None),
    "mka wavpack": Kind("matroska", audio="wavpack", video=None),
    "mkv live": Kind("matroska", options={"live": "1"}),
    "webm opus": Kind("webm", audio="libopus", video="libvpx"),
    "webm vorbis": Kind("webm", audio="vorbis", video="libvpx"),
    "avi": Kind("avi", audio="libmp3lame"),
    "avi pcm": Kind("avi", audio="pcm_s16le"),
    "avi adpcm": Kind("avi", audio="adpcm_ima_wav"),
    "ts": Kind("mpegts", video="mpeg2video"),
    "ts mp2": Kind("mpegts", audio="mp2", video="mpeg2video"),
    "ts ac3": Kind("mpegts", audio="ac3", video="mpeg2video"),
    "mpeg": Kind("mpeg", audio="mp2", video="mpeg1video"),
    "flv": Kind("flv", video="flv"),
    "flv nellymoser": Kind("flv", audio="nellymoser", video="flv", rate=44_100, channels=1),
    "wmv": Kind("asf", audio="wmav2", video="wmv2"),
    "wma": Kind("asf", audio="wmav1", video=None),
    "wav": Kind("wav", audio="pcm_s16le", video=None),
    "wav float": Kind("wav", audio="pcm_f32le", video=None),
    "wav adpcm": Kind("wav", audio="adpcm_ms", video=None),
    "wav telephone": Kind("wav", audio="pcm_mulaw", video=None),
    "w64": Kind("w64", audio="pcm_s16le", video=None),
    "flac": Kind("flac", audio="flac", video=None),
    "ogg": Kind("ogg", audio="vorbis", video=None),
    "ogg flac": Kind("ogg", audio="flac", video=None),
    "opus": Kind("ogg", audio="libopus", video=None),
    "mp3": Kind("mp3", audio="libmp3lame", video=None),
    "m4a": Kind("ipod", video=None),
    "aac": Kind("adts", video=None),
    "amr": Kind("amr", audio="libopencore_amrnb", video=None, rate=8_000, channels=1),
    "mp4 silent picture": Kind("mp4", audio=None),
    "mkv silent picture": Kind("matroska", audio=None),
}


class Sound(TypedDict, total=False):
    """What `make` and `made` can vary; see `make`."""

    rate: int | None
    channels: int | None
    picture_seconds: float | None
    begins: float
    pause: float
    sweep: bool


@functools.cache
def make(kind: str, *, seconds: float = 20, **varied: Unpack[Sound]) -> bytes:
    """The bytes of a file of `kind` whose sound lasts `seconds` (its picture `picture_seconds`, when they differ).

    The sound `begins` so many seconds late, or early: then players cut off what is before zero, or shift it. It is
    interrupted in its middle by a `pause` in the time stamps. Rate and channels are the kind's own unless given.
    With a `sweep` it is a tone that rises all the time, so that no two moments sound alike.
    """
    return made(KINDS[kind], seconds=seconds, **varied)


def made(
    recipe: Kind,
    *,
    seconds: float,
    rate: int | None = None,
    channels: int | None = None,
    picture_seconds: float | None = None,
    begins: float = 0,
    pause: float = 0,
    sweep: bool = False,
) -> bytes:
    """See `make`, for a sort of file that KINDS doesn't have."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "media"
        with av.open(str(path), "w", format=recipe.format, options=recipe.options) as out:
            # Both streams must be there before the first packet writes the header.
            pictures = _pictures(out, recipe.video, seconds if picture_seconds is None else picture_seconds)
            tones = _sounds(out, recipe.audio, seconds, rate or recipe.rate, channels or recipe.channels, sweep)
            sounds = _delayed(tones, begins, seconds / 2, pause)
            for _, packet in _in_order(pictures, sounds):
                out.mux(packet)
        return path.read_bytes()


def joined(container: str, sources: list[bytes], default: int, languages: list[str] | None = None) -> bytes:
    """One file with the sound of each of `sources` as a track of its own, number `default` marked as the default."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(n) for n in range(len(sources))]
        for path, data in zip(paths, sources, strict=True):
            path.write_bytes(data)
        target = Path(folder) / "joined"
        with av.open(str(target), "w", format=container) as out:
            inputs = [av.open(str(path)) for path in paths]
            tracks = [out.add_stream_from_template(source.streams.audio[0]) for source in inputs]
            tracks[default].disposition = Disposition.default
            for track, language in zip(tracks, languages or [], strict=False):
                track.metadata["language"] = language
            for source, track in zip(inputs, tracks, strict=True):
                for packet in source.demux(audio=0):
                    if packet.size:
                        packet.stream = track
                        out.mux(packet)
                source.close()
        return target.read_bytes()


def tone_share(samples: array.array, rate: int, frequency: float) -> float:
    """How much of the energy of `samples` (floats) is at `frequency`: about 1 for a pure tone, by Goertzel's rule."""
    step = 2 * math.cos(2 * math.pi * frequency / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + step * last - before
    power = last * last + before * before - step * last * before
    return 2 * power / (len(samples) * sum(sample * sample for sample in samples) + 1e-9)


def decoded(data: bytes) -> tuple[int, list[array.array]]:
    """What an MP3 (or any sound) decodes to: its rate, and the samples of each channel as floats."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with av.open(file.name) as source:
            stream = source.streams.audio[0]
            channels = [array.array("f") for _ in range(stream.channels)]
            resampler = AudioResampler(format="fltp", layout=stream.layout.name, rate=stream.rate)
            for frame in source.decode(stream):
                for part in resampler.resample(frame):
                    # Of eight channels PyAV gives one plane too many.
                    for samples, plane in zip(channels, part.planes[: len(channels)], strict=True):
                        samples.frombytes(bytes(plane)[: 4 * part.samples])
            return stream.rate, channels


Timed = Iterator[tuple[Fraction, "av.Packet[av.AudioStream] | av.Packet[av.VideoStream]"]]


def _in_order(*streams: Timed) -> Timed:
    heads = [(next(stream, None), stream) for stream in streams]
    while heads := [head for head in heads if head[0] is not None]:
        index = min(range(len(heads)), key=lambda i: heads[i][0][0])
        packet, stream = heads[index]
        yield packet
        heads[index] = (next(stream, None), stream)


def _delayed(packets: Timed, begins: float, middle: float, pause: float) -> Timed:
    for time, packet in packets:
        delay = begins + (pause if time >= middle else 0)
        shift = round(delay / packet.time_base)
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
        yield time + Fraction(delay), packet


def _pictures(out: av.container.OutputContainer, codec: str | None, seconds: float) -> Timed:
    if codec is None:
        return iter(())
    fps = 25 if codec.startswith("mpeg") and codec != "mpeg4" else _FPS
    stream = out.add_stream(codec, rate=fps)
    stream.width, stream.height, stream.pix_fmt, stream.bit_rate = _WIDTH, _HEIGHT, "yuv420p", 300_000
    stream.codec_context.gop_size = fps
    if codec == "libvpx":
        stream.codec_context.options = {"deadline": "realtime", "cpu-used": "8"}
    count = round(seconds * fps)
    second = list(_encoded(stream, _noise(min(count, fps), fps)))
    return _repeated(second, count, fps)


def _repeated(second: list[tuple[Fraction, "av.Packet[av.VideoStream]"]], count: int, fps: int) -> Timed:
    # Each second begins with a key picture and shows the same: encoding it anew takes longer than all else.
    for n in range(count):
        later, (time, packet) = n // fps, second[n % fps]
        copy = av.Packet(bytes(packet))
        copy.stream, copy.time_base, copy.duration, copy.is_keyframe = (
            packet.stream,
            packet.time_base,
            packet.duration,
            packet.is_keyframe,
        )
        shift = round(later / packet.time_base)
        copy.pts, copy.dts = packet.pts + shift, packet.dts + shift
        yield time + later, copy


def _noise(count: int, fps: int) -> Iterator[av.VideoFrame]:
    source = random.Random(1)
    for n in range(count):
        frame = av.VideoFrame(_WIDTH, _HEIGHT, "yuv420p")
        for plane in frame.planes:
            plane.update(source.randbytes(plane.buffer_size // 8) * 8 + bytes(plane.buffer_size % 8))
        frame.pts, frame.time_base = n, Fraction(1, fps)
        yield frame


def _sounds(
    out: av.container.OutputContainer, codec: str | None, seconds: float, rate: int, channels: int, sweep: bool
) -> Timed:
    if codec is None:
        return iter(())
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[channels]
    stream = out.add_stream(codec, rate=rate, layout=layout)
    if codec == "vorbis":
        stream.codec_context.options = {"strict": "experimental"}
    if codec not in _OWN_BIT_RATE and not codec.startswith("pcm"):
        stream.bit_rate = 128_000
    # Some encoders, Vorbis for one, know their own format only once they are open.
    stream.codec_context.open()
    context = stream.codec_context
    fit = AudioResampler(context.format.name, layout, rate, frame_size=context.frame_size or 1024)
    tone = _tone(seconds, rate, layout, _swept(seconds, rate) if sweep else None)
    return _encoded(stream, (part for frame in tone for part in fit.resample(frame)))


def _swept(seconds: float, rate: int) -> list[array.array]:
    times = (n / rate for n in range(round(seconds * rate)))
    return [array.array("f", (0.4 * math.sin(2 * math.pi * (300 + 100 * time) * time) for time in times))]


def _tone(seconds: float, rate: int, layout: str, swept: list[array.array] | None) -> Iterator[av.AudioFrame | None]:
    channels = av.AudioLayout(layout).nb_channels
    # Every tone is a whole number of hertz: one second repeats without a seam.
    waves = swept or [
        array.array("f", (0.4 * math.sin(2 * math.pi * tone * n / rate) for n in range(rate))) for tone in TONES
    ]
    done, total, period = 0, round(seconds * rate), len(waves[0])
    while done < total:
        count = min(period, total - done)
        frame = av.AudioFrame("fltp", layout, count)
        for c, plane in enumerate(frame.planes[:channels]):
            plane.update(waves[c % len(waves)][:count].tobytes() + bytes(plane.buffer_size - 4 * count))
        frame.pts, frame.sample_rate, frame.time_base = done, rate, Fraction(1, rate)
        done += count
        yield frame
    yield None


def _encoded(stream: "av.AudioStream | av.VideoStream", frames: Iterator["av.AudioFrame | av.VideoFrame"]) -> Timed:
    for frame in frames:
        for packet in stream.encode(frame):
            yield packet.dts * packet.time_base, packet
    for packet in stream.encode(None):
        yield packet.dts * packet.time_base, packet
