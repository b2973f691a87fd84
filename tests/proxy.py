"""A TCP proxy that can go silent, be slow or cut its connections: what a network does and a killed server does not."""

import contextlib
import socket
import threading
import time
from types import TracebackType


class Proxy:
    """Passes every connection on to a port of this machine; the switches concern the connections open by then.

    But for `delay`: all answers, a server's greeting among them, begin to come back so many seconds late.
    """

    def __init__(self, target: int) -> None:
        self.delay = 0.0
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._silent: set[socket.socket] = set()  # what comes from these goes nowhere
        self._asked: set[socket.socket] = set()  # the next that comes from these is the beginning of an answer
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Proxy":
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        for thread in self._threads:
            thread.join()
        for pair in self._pairs:
            for end in pair:
                end.close()

    def swallow(self) -> None:
        """From now on nothing passes in either direction, and nobody is told."""
        self._silent |= {end for pair in self._pairs for end in pair}

    def swallow_answers(self) -> None:
        """From now on nothing comes back from the server."""
        self._silent |= {server for _, server in self._pairs}

    def cut(self) -> None:
        """Ends the connections."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._pairs.append((client, server))
            self._asked.add(server)
            self._start(self._pass_on, client, server, True)
            self._start(self._pass_on, server, client, False)

    def _pass_on(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if source in self._asked:
                    self._asked.discard(source)
                    time.sleep(self.delay)
                if asks:
                    self._asked.add(target)
                if source not in self._silent:
                    target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
