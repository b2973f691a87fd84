"""The 22 places where tests kill a process to see that nothing is lost; without KILL_POINT each is an empty call.

    U1  nothing written                  C1  event received               N1  event received
    U2  some chunks stored               C2  job leased                   N2  mail leased
    U3  file closed, job not queued      C3  video partly read            N3  connected, nothing said
    U4  job queued, not published        C4  conversion under way         N4  mail handed over, no answer yet
    U5  published, confirm not seen      C5  MP3 stored, file not closed  N5  mail taken, not recorded
    U6  confirmed, not marked            C6  file closed, job not done    N6  recorded, no answer
    U7  marked, no answer                C7  job done, not published
                                         C8  published, confirm not seen
                                         C9  confirmed, not marked, no answer

KILL_POINT names one. The process ends there with status 137 and nothing tidied up, as after SIGKILL: each time, or
with KILL_FLAG once for each time that the file of this name is made. Never set in production.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from functions.common.settings import load

STATUS = 137  # what a shell says of SIGKILL
UNCONFIRMED = {"video": "U5", "mp3": "C8"}
UNMARKED = {"video": "U6", "mp3": "C9"}


@dataclass(frozen=True)
class Settings:
    """Where to end: `kill_point` empty means nowhere; `kill_flag` is the file that must be there, and then is not."""

    kill_point: str = ""
    kill_flag: str = ""


def _pass(_point: str) -> None:
    """Goes on."""


def _reacher(settings: Settings) -> Callable[[str], None]:
    def end(point: str) -> None:
        if point == settings.kill_point and _armed(settings.kill_flag):
            os._exit(STATUS)

    return end if settings.kill_point else _pass


def _armed(flag: str) -> bool:
    try:
        if flag:
            Path(flag).unlink()  # of several threads, one can
    except FileNotFoundError:
        return False
    return True


reach = _reacher(load(Settings))
