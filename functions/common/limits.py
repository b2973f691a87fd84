"""The limits that each function is deployed with, and the check at start that no setting contradicts another."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from functions.common.settings import SettingsError

KNATIVE_SECONDS = 40  # of a pod's end: SIGTERM comes 30 s after the deletion, and SIGKILL `seconds` after it
LEAST_GRACE_SECONDS = 5


@dataclass(frozen=True)
class Limits:
    """`seconds` a request may take (Knative's timeoutSeconds) and how many `threads` answer requests."""

    seconds: int
    threads: int
    signature: str = "http"

    @property
    def grace_seconds(self) -> int:
        """How long requests in flight may take after SIGTERM, unless a setting says otherwise."""
        return max(self.seconds - KNATIVE_SECONDS, LEAST_GRACE_SECONDS)


LIMITS = {
    "auth": Limits(seconds=30, threads=16),
    "upload": Limits(seconds=600, threads=8),
    "convert": Limits(seconds=600, threads=4, signature="cloudevent"),
    "notify": Limits(seconds=300, threads=4, signature="cloudevent"),
    "download": Limits(seconds=600, threads=32),
}


def below_limit(name: str, **seconds: float) -> dict[str, float]:
    """A chain for `check`: the settings as given, and at its end the time limit of the function `name`."""
    return {**seconds, f"the time limit of {name}": LIMITS[name].seconds}


def check(program: str, *chains: Mapping[str, float]) -> None:
    """Raises SettingsError unless each chain begins above 0 and rises; it names all that contradicts."""
    problems: list[str] = []
    for chain in chains:
        steps = list(chain.items())
        if not steps[0][1] > 0:  # so that NaN is none either
            problems.append(f"{_told(*steps[0])} must be above 0")
        for lower, upper in pairwise(steps):
            if not lower[1] < upper[1]:
                problems.append(f"{_told(*lower)} must be below {_told(*upper)}")
    if problems:
        raise SettingsError(f"{program}: {'; '.join(dict.fromkeys(problems))}")


def _told(name: str, value: float) -> str:
    return f"{name} ({value:g})"
