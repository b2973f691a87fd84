"""Ports of 127.0.0.1: chosen at random below those that the kernel gives to outgoing connections, and remembered.

A port from `bind(0)` may be taken by such a connection before the server gets to it.
"""

import json
import socket
from pathlib import Path
from random import SystemRandom

RANGE = range(20_000, 30_000)


def free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something listens on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def choose(taken: set[int]) -> int:
    """A free port that is not among `taken`."""
    while (port := SystemRandom().choice(RANGE)) in taken or not free(port):
        pass
    return port


class Ports:
    """The ports of one home, by name: the same ones each time, unless somebody else has taken them meanwhile."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def __getitem__(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = choose(set(self._known.values()))
            self._file.write_text(json.dumps(self._known, indent=2))
        return self._known[name]

    def renew(self) -> list[str]:
        """Forgets the ports that are taken now, and names what they were for."""
        taken = [name for name, port in self._known.items() if not free(port)]
        for name in taken:
            del self._known[name]
        return taken
