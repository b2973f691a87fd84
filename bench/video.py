"""The media that the rows convert: made once with ffmpeg, kept in `.bench/media`.

The pictures are a few seconds long and repeated without being encoded again, as their bytes only have to be there. The
sound is the licence read aloud, over chords and drums.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.serving import ROOT

FOLDER = ROOT / ".bench" / "media"
MINUTES = 10
SECONDS = 60 * MINUTES
TALK_SECONDS = 7200
K4_SECONDS = 180
BIG_SECONDS = 400  # of 40 Mbit/s: 2 GB

# Half a second a chord, four strokes a second, a little noise throughout.
_CHORD = "0.10*exp(-4*mod(t,0.5))*({a}*sin(2*PI*110*{step}*t)+0.6*sin(2*PI*{b}*{step}*t)+0.3*sin(2*PI*{c}*t))"
_STEP = "pow(2,mod(floor(2*t)*7,12)/12)"
_NOISE = "+0.15*exp(-90*mod(t,0.25))*(random({n})-0.5)+0.006*(random({m})-0.5)"
_LEFT = (_CHORD + _NOISE).format(a=1.0, b=165, c=440, step=_STEP, n=0, m=1)
_RIGHT = (_CHORD + _NOISE).format(a=0.8, b=220, c=550, step=_STEP, n=2, m=3)
_INTERLEAVE_1S = ("-chunk_duration", "1000000")  # microseconds; as phones write
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def media(name: str) -> Path:
    """The file of that name, one of MADE; made if it is not there yet."""
    path = FOLDER / name
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"draft-{name}")
        MADE[name](draft)
        draft.rename(path)
    return path


def _speech(path: Path) -> None:
    shutil.copy(ROOT / "LICENSE", FOLDER / "LICENSE")  # flite's option takes no path with colons or commas
    _ffmpeg("-f", "lavfi", "-i", "flite=textfile=LICENSE:voice=slt", "-t", SECONDS, path)


def _sound(path: Path) -> None:
    left, right = (channel.replace(",", r"\,") for channel in (_LEFT, _RIGHT))
    mix = "[1:a]aresample=48000,pan=stereo|c0=0.6*c0|c1=0.6*c0[v];[0:a][v]amix=inputs=2:duration=first:normalize=0"
    music = ("-f", "lavfi", "-i", f"aevalsrc={left}|{right}:s=48000:d={SECONDS}")
    _ffmpeg(*music, "-i", media("speech.flac"), "-filter_complex", mix, "-t", SECONDS, path)


def _hd(path: Path) -> None:
    _joined("picture-hd.mp4", "sound.m4a", path, SECONDS, "-movflags", "+faststart")


def _hd_1s(path: Path) -> None:
    # In one go ffmpeg would sort the looped picture's packets finely all the same.
    _ffmpeg("-i", media("hd-fine.mp4"), "-map", "0", "-c", "copy", *_INTERLEAVE_1S, path)


def _k4_1s(path: Path) -> None:
    fine = path.with_name("draft-4k-fine.mp4")
    _joined("picture-4k.mp4", "sound.m4a", fine, K4_SECONDS)
    _ffmpeg("-i", fine, "-map", "0", "-c", "copy", *_INTERLEAVE_1S, path)
    fine.unlink()


def _talk(path: Path) -> None:
    # Encoded in whole: a loop of AAC would begin each time with the encoder's delay.
    speech = ("-stream_loop", -1, "-i", media("speech.flac"))
    picture = ("-stream_loop", -1, "-i", media("picture-tiny.mp4"))
    _ffmpeg(*picture, *speech, "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-b:a", "64k", "-ar", 44100,
            "-t", TALK_SECONDS, path)  # fmt: skip


def _picture(size: str, seconds: int, rate: int, bits: str, path: Path) -> None:
    steady = ("-b:v", bits, "-maxrate", bits, "-bufsize", bits)
    source = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}", "-t", seconds, "-vf", "noise=alls=12:allf=t")
    _ffmpeg(*source, *_X264, *steady, "-g", 2 * rate, path)


def _joined(picture: str, sound: str, path: Path, seconds: int, *options: str) -> None:
    looped = ("-stream_loop", -1, "-i", media(picture), "-i", media(sound))
    _ffmpeg(*looped, "-map", "0:v", "-map", "1:a", "-c", "copy", "-t", seconds, *options, path)


def _ffmpeg(*words: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, words)], check=True, cwd=FOLDER)


def _encoded(sound: str, *options: str) -> Callable[[Path], None]:
    return lambda path: _ffmpeg("-i", media(sound), *options, path)


MADE: dict[str, Callable[[Path], None]] = {
    "speech.flac": _speech,
    "sound.flac": _sound,
    "sound.m4a": _encoded("sound.flac", "-c:a", "aac", "-b:a", "160k"),
    "sound-128.m4a": _encoded("sound.flac", "-c:a", "aac", "-b:a", "125k"),
    "sound.mp3": _encoded("sound.flac", "-c:a", "libmp3lame", "-b:a", "192k"),
    "sound.opus": _encoded("sound.flac", "-c:a", "libopus", "-b:a", "128k"),
    "picture-hd.mp4": lambda path: _picture("1920x1080", 30, 30, "5M", path),
    "picture-4k.mp4": lambda path: _picture("3840x2160", 10, 30, "40M", path),
    "picture-tiny.mp4": lambda path: _picture("64x48", 30, 1, "2k", path),
    "picture.webm": lambda path: _ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=640x360:r=25",
        "-t",
        30,
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "realtime",
        "-cpu-used",
        8,
        "-b:v",
        "800k",
        path,
    ),
    "hd-fine.mp4": _hd,
    "hd-1s.mp4": _hd_1s,
    "4k-1s.mp4": _k4_1s,
    "talk.mp4": _talk,
    "10mb.mp4": lambda path: _joined("picture-tiny.mp4", "sound-128.m4a", path, SECONDS),
    "2gb.mp4": lambda path: _joined("picture-4k.mp4", "sound.m4a", path, BIG_SECONDS),
    "mp3.mkv": lambda path: _joined("picture-hd.mp4", "sound.mp3", path, SECONDS),
    "opus.webm": lambda path: _joined("picture.webm", "sound.opus", path, SECONDS),
    "hd.ts": lambda path: _joined("picture-hd.mp4", "sound.m4a", path, SECONDS),
}
"""Every file and how it is made; the last ones are what is converted, the first ones what these are made of."""
