"""The demo: a video goes in, the mail arrives, the MP3 comes out, and everything is ended again.

In a home of its own, so that it neither needs nor disturbs what `up` started.
"""

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from local import media, ports, state, supervisor
from local.journey import Journey, JourneyError
from local.stack import Stack, StartError

HOME = supervisor.HOME / "demo"


def run(video: str, port: int, settings: Mapping[str, str]) -> int:
    """The whole demo with `video`, or with a sample; the exit code."""
    started = time.monotonic()
    supervisor.leave_on_signals()
    try:
        path = _video(video)
        print("Starting the databases, the broker, an inbox, five functions and the gateway.")
        with Stack(HOME / "stack", port=port if ports.free(port) else 0, overrides=settings) as stack:
            say("Ready", f"{stack.url} after {time.monotonic() - started:.1f} s")
            convert(Journey(stack.url, stack.inbox_url), path)
        say("Stopped", f"nothing is left running; {time.monotonic() - started:.1f} s in all")
    except (JourneyError, StartError, state.AlreadyRunningError, media.NoSoundError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    return 0


def _video(name: str) -> Path:
    if name:
        if not Path(name).is_file():
            raise JourneyError(f"There is no file {name}.")
        return Path(name)
    sample = HOME / "sample.mp4"
    if not sample.exists():
        HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
        media.make_sample(sample)
    return sample


def convert(journey: Journey, video: Path) -> None:
    """What a user does, told line by line. Raises JourneyError where the service says no."""
    say("Account", f"{journey.sign_up()}, with an access token of an hour")
    job = journey.upload(video)
    say("Upload", f"{video} ({video.stat().st_size / 1e6:.1f} MB) is job {job['id']}")
    job = journey.finish(job["id"], lambda text: say("Job", text))
    if journey.has_inbox:
        mail = journey.mail()
        print("\n" + "\n".join(f"    {line}" for line in mail.splitlines()) + "\n")
    if job["state"] != "done":
        raise JourneyError(f"{video.name} gives no MP3: {(job['error'] or {}).get('detail') or job['state']}")
    # What counts is the id in the mail: that is all its reader has.
    found = re.search(r"MP3 id:\s+([0-9a-f]{24})", mail) if journey.has_inbox else None
    target = HOME / f"{video.stem}.mp3"
    journey.fetch(found[1] if found else job["mp3"]["id"], target)
    say("MP3", f"{_shown(target)} ({target.stat().st_size / 1e3:.0f} kB), {compare(video, target)}")


def compare(video: Path, mp3: Path) -> str:
    """That the MP3 decodes to the duration of the video's sound. Raises JourneyError when it doesn't."""
    expected, got = media.sound_seconds(video), media.decoded_seconds(mp3)
    if abs(expected - got) > max(0.1, 0.01 * expected):
        raise JourneyError(f"{mp3.name} decodes to {got:.2f} s, but the sound of {video.name} lasts {expected:.2f} s.")
    return f"decodes to {got:.2f} s, the video's sound lasts {expected:.2f} s"


def say(what: str, text: str) -> None:
    """One line of the story."""
    print(f"{what:<9}{text}", flush=True)


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
