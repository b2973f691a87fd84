"""The video that the conversion row converts."""

import subprocess
from pathlib import Path


def video(path: Path) -> Path:
    """A 10 min video, 1080p at 5 Mbit/s with AAC at 160 kbit/s, made once with ffmpeg: 30 s of picture, repeated."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    picture, sound, draft = (path.with_name(f"{path.stem}-{part}.mp4") for part in ("picture", "sound", "draft"))
    noise = "aevalsrc=0.3*sin(2*PI*t*(220+55*mod(floor(t*2)\\,7)))+0.04*random(0)|0.3*sin(2*PI*t*330)+0.04*random(1)"
    rate = ("-b:v", "5M", "-maxrate", "5M", "-bufsize", "5M", "-g", "60", "-pix_fmt", "yuv420p")
    source = ("-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30", "-t", "30", "-vf", "noise=alls=12:allf=t")
    _ffmpeg(*source, "-c:v", "libx264", "-preset", "ultrafast", *rate, picture)
    _ffmpeg("-f", "lavfi", "-i", f"{noise}:s=48000:d=600", "-c:a", "aac", "-b:a", "160k", sound)
    _ffmpeg(
        "-stream_loop", "-1", "-i", picture, "-i", sound, "-map", "0:v", "-map", "1:a", "-c", "copy", "-t", "600", draft
    )
    _ffmpeg("-i", draft, "-map", "0", "-c", "copy", "-movflags", "+faststart", path)
    for part in (picture, sound, draft):
        part.unlink()
    return path


def _ffmpeg(*words: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *words], check=True)
