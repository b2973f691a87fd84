"""What goes wrong in a storm, in which order: dealt from shuffled decks, so that every kind comes up in each of them.

A seed fixes the sequence and all times in it. The broker's data is wiped once, early: while there are uploads even in a
short storm.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

FUNCTIONS = ("auth", "upload", "convert", "notify", "download")
SERVERS = ("rabbitmq", "mongo", "mariadb", "inbox")
SOURCES = ("source-video", "source-mp3")
KILLED = (*FUNCTIONS, *SOURCES, *SERVERS, "janitor", "gateway")
FROZEN = ("upload", "convert", "notify", *SOURCES, *SERVERS)
LEASE_SECONDS = 4.0  # of the tests; extended each second, so that three are left at any time
AWAY_SECONDS = (0.0, 6.0)
SHORT_SECONDS = (0.3, 1.3)  # two in a row are no reason to lose a lease
LONG_SECONDS = (5.0, 9.0)
PAUSE_SECONDS = (0.5, 3.0)


@dataclass(frozen=True)
class Fault:
    """What is done to a child and for how many `seconds`, after a `pause`."""

    how: str
    name: str
    seconds: float
    pause: float

    @property
    def outlasts_a_lease(self) -> bool:
        """Whether a run that it meets may lose its job."""
        return self.how != "freeze" or self.seconds > LEASE_SECONDS


def dealt(seed: int) -> Iterator[Fault]:
    """The faults of a storm, without end."""
    source = random.Random(f"{seed} faults")
    first = _deck(source)
    first.insert(source.randint(3, len(first) // 3), _fault(source, "wipe", "rabbitmq", AWAY_SECONDS))
    yield from first
    while True:
        yield from _deck(source)


def _deck(source: random.Random) -> list[Fault]:
    deck = [_fault(source, "kill", name, AWAY_SECONDS) for name in KILLED]
    deck += [_fault(source, "freeze", name, span) for name in FROZEN for span in (SHORT_SECONDS, LONG_SECONDS)]
    deck += [_fault(source, "drop the connections of", "rabbitmq", (0.0, 0.0))]
    source.shuffle(deck)
    return deck


def _fault(source: random.Random, how: str, name: str, span: tuple[float, float]) -> Fault:
    return Fault(how, name, source.uniform(*span), source.uniform(*PAUSE_SECONDS))


LEAST = len(_deck(random.Random(0))) + 1  # the first deck and the wipe
