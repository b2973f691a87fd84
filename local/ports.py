"""Ports of this machine: chosen at random below those that the kernel gives to outgoing connections, and remembered.

A port from `bind(0)` may be taken by such a connection before the server gets to it.
"""

import json
import socket
from collections.abc import Collection
from pathlib import Path
from random import SystemRandom

LOOPBACK = "127.0.0.1"
RANGE = range(20_000, 30_000)


def free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` of `host` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def ours(host: str) -> bool:
    """Whether `host` is an address of this machine."""
    return free(0, host)


def answers(port: int, host: str = LOOPBACK) -> bool:
    """Whether something listens on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def choose(taken: set[int], hosts: Collection[str] = (LOOPBACK,)) -> int:
    """A port that is free on all `hosts` and not among `taken`."""
    while (port := SystemRandom().choice(RANGE)) in taken or not all(free(port, host) for host in hosts):
        pass
    return port


class Ports:
    """The ports of one home, by name: the same ones each time, unless somebody else has taken them meanwhile."""

    def __init__(self, file: Path, hosts: Collection[str] = (LOOPBACK,)) -> None:
        self._file = file
        self._hosts = hosts
        self._known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def __getitem__(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = choose(set(self._known.values()), self._hosts)
            self._file.write_text(json.dumps(self._known, indent=2))
        return self._known[name]

    def renew(self) -> list[str]:
        """Forgets the ports that are taken now, and names what they were for."""
        taken = [name for name, port in self._known.items() if not all(free(port, host) for host in self._hosts)]
        for name in taken:
            del self._known[name]
        return taken
