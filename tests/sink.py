"""A function for the source to call, whose answers a test writes down beforehand."""

import contextlib
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

HANG, RESET, DIES = -1, -2, -3


@dataclass(frozen=True)
class Seen:
    """One call as it came."""

    event_id: str
    headers: dict[str, str]
    body: bytes


class Sink:
    """Answers each event by its list of statuses, then 200; notes calls, how many at once, cuts.

    Beside a status: HANG until released or cut, RESET the connection, DIES in the middle of a 200.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[int]] = defaultdict(list)
        self.seen: list[Seen] = []
        self.cut: list[str] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answer))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> "Sink":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def release(self) -> None:
        """Ends all hanging: those calls get 200 if they are still there."""
        self._released.set()

    def calls(self, event_id: str) -> int:
        """How often the event came."""
        return sum(seen.event_id == event_id for seen in list(self.seen))

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        event_id = request.headers["Ce-Id"]
        body = request.rfile.read(int(request.headers["Content-Length"]))
        with self._lock:
            self.seen.append(Seen(event_id, dict(request.headers), body))
            self._now += 1
            self.most = max(self.most, self._now)
            answer = self.answers[event_id].pop(0) if self.answers[event_id] else 200
        try:
            self._give(request, event_id, answer)
        finally:
            with self._lock:
                self._now -= 1

    def _give(self, request: BaseHTTPRequestHandler, event_id: str, answer: int) -> None:
        if answer in (RESET, DIES):
            if answer == DIES:
                request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-")
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()
            return
        if answer == HANG:
            if self._caller_left(request):
                self.cut.append(event_id)
                return
            answer = 200
        with contextlib.suppress(OSError):
            request.send_response(answer)
            request.send_header("Content-Length", "0")
            request.end_headers()

    def _caller_left(self, request: BaseHTTPRequestHandler) -> bool:
        request.connection.settimeout(0.02)
        while not self._released.is_set():
            try:
                return not request.connection.recv(1)
            except TimeoutError:
                continue
            except OSError:
                return True
        return False


def _handler(answer: Callable[[BaseHTTPRequestHandler], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.close_connection = True
            answer(self)

        def log_message(self, format: str, *arguments: object) -> None:
            """Stays quiet."""

    return Handler
