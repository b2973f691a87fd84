"""The uploaded file inside a request's body, piece by piece: raw, or the field `file` of a multipart form."""

import socket
import time
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from functions.common.draining import PROCESS, Draining, ShuttingDown
from functions.common.options import NAMES, OPTIONS, OptionError, Options
from functions.common.web import Problem

PIECE_BYTES = 1 << 20
FORM_BYTES = 65_536  # what a form may be longer than its file
_NAME_BYTES = 255
_SAID = NAMES | {OPTIONS}
_OPTION_BYTES = 8192  # more than all of them together may have, in JSON that escapes each character


class Body:
    """Iterates over the file's bytes; raises the 400 problem when the body ends early or is no proper form.

    `received` is when something of it last came (monotonic). Once the process has to end it raises the 503 problem,
    also out of a read that waits for a slow client.
    """

    def __init__(self, request: Request, draining: Draining = PROCESS) -> None:
        self._request = request
        self._draining = draining
        self._declared = request.content_length
        self._received = 0
        self.received = time.monotonic()
        self.is_form = request.mimetype == "multipart/form-data"
        self.filename = _clean(request.args.get("filename", ""))
        self._said: dict[str, str | bytearray] = dict(request.args)
        self._saying = bytearray()
        self._pieces = self._form() if self.is_form else self._raw()

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def head(self, size: int) -> bytes:
        """The first `size` bytes of the file, or all of a shorter one."""
        head = b""
        while len(head) < size and (piece := next(self._pieces, None)):
            head += piece
        return head

    def options(self) -> Options:
        """What is asked of the conversion: by the query, and by what has come so far of a form's fields.

        Raises the 422 problem.
        """
        try:
            return Options.parse({name: _text(said) for name, said in self._said.items()})
        except OptionError as error:
            raise Problem(422, "invalid_option", str(error)) from None

    def drain(self, limit: int) -> None:
        """Reads and drops the rest, `limit` bytes at most: a refusal sent earlier may reach the client as a reset."""
        try:
            while self._received < limit and self._read():
                pass
        except Problem:
            return

    def _read(self) -> bytes:
        try:
            with self._draining.cutting(self._cut):
                piece = self._receive()
        except Exception:
            if not self._draining.ended:
                raise
        if self._draining.ended:  # however the cut looked from inside: what was read may not be all
            raise ShuttingDown
        return piece

    def _cut(self) -> None:
        # The reading half alone: the answer still goes out. Only gunicorn's requests have this.
        if (connection := self._request.environ.get("gunicorn.socket")) is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)

    def _receive(self) -> bytes:
        try:
            piece: bytes = self._request.stream.read(PIECE_BYTES)
        except OSError:
            raise _incomplete() from None
        self._received += len(piece)
        self.received = time.monotonic() if piece else self.received
        if not piece and self._declared is not None and self._received < self._declared:
            raise _incomplete()
        return piece

    def _raw(self) -> Iterator[bytes]:
        while piece := self._read():
            yield piece

    def _form(self) -> Iterator[bytes]:
        boundary = self._request.mimetype_params.get("boundary", "").encode("latin-1", "replace")
        if not boundary:
            raise _malformed("The form's Content-Type names no boundary.")
        # The limit bounds what the decoder holds while it looks for a boundary.
        decoder = MultipartDecoder(boundary, max_form_memory_size=4 * PIECE_BYTES, max_parts=50)
        try:
            yield from self._file_part(decoder)
        except (ValueError, RequestEntityTooLarge):
            raise _malformed("The form is broken off or malformed.") from None
        while self._read():
            pass

    def _file_part(self, decoder: MultipartDecoder) -> Iterator[bytes]:
        found = inside = False
        while not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, NeedData):
                decoder.receive_data(self._read() or None)
            elif isinstance(event, File | Field):
                inside = self._enter(event, found)
                found = found or inside
            elif isinstance(event, Data) and inside and event.data:
                yield event.data
            elif isinstance(event, Data):
                self._saying += event.data[: _OPTION_BYTES - len(self._saying)]
        if not found:
            raise _malformed("The form has no file in a field named `file`.")

    def _enter(self, part: File | Field, found: bool) -> bool:
        """Whether this part is the file; what others say is kept, if it is an option."""
        self._saying = bytearray()
        if part.name in _SAID:  # as a field, or as curl's `-F options=@options.json` sends it, as a file
            self._said[part.name] = self._saying
        is_file = isinstance(part, File) and part.name == "file" and not found
        if isinstance(part, File) and is_file:
            self.filename = _clean(part.filename)
        return is_file


def _clean(name: str) -> str:
    """The file's own name without folders, control and direction characters; data for people, never a path."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] != "C").strip()
    return kept.encode()[:_NAME_BYTES].decode(errors="ignore") or "video"


def _text(said: str | bytearray) -> str:
    return said if isinstance(said, str) else said.decode(errors="replace")


def _incomplete() -> Problem:
    return Problem(400, "incomplete_body", "The body ended before its announced length.")


def _malformed(detail: str) -> Problem:
    return Problem(400, "malformed_multipart", detail)
