"""Small stand-ins for functions: HTTP servers that note what they get and answer what a test says."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Seen:
    """A request as it reached an upstream."""

    method: str
    path: str
    headers: Mapping[str, str]
    body_length: int = 0


Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers as its upstream's `answers` say, else 200 with the upstream's name."""

    protocol_version = "HTTP/1.1"
    server: "Upstream"
    seen: Seen

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        self.seen = Seen(self.command, self.path, dict(self.headers.items()))
        self.server.seen.append(self.seen)
        answers = self.server.answers
        answer = answers.get(self.path.partition("?")[0], answers.get("*", says(200)))
        answer(self)

    def body(self) -> Iterator[bytes]:
        """The request's body, piece by piece as it comes."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while length := int(self.rfile.readline() or b"0", 16):
                yield self.rfile.read(length)
                self.rfile.readline()
                self.seen.body_length += length
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left and (piece := self.rfile.read1(min(left, 1 << 20))):
            left -= len(piece)
            self.seen.body_length += len(piece)
            yield piece

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def says(status: int, body: bytes | None = None, **headers: str) -> Answer:
    """An answer that reads the body to its end and then says this."""

    def answer(handler: Handler) -> None:
        if not handler.seen.body_length:
            for _ in handler.body():
                pass
        text = handler.server.name.encode() if body is None else body
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if status != 204:
            handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        if handler.command != "HEAD" and status != 204:
            handler.wfile.write(text)

    return answer


class Upstream(ThreadingHTTPServer):
    """A stand-in for one function."""

    daemon_threads = True

    def __init__(self, name: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.name = name
        self.seen: list[Seen] = []
        self.answers: dict[str, Answer] = {}
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"
