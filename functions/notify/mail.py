"""Hands one mail to the SMTP server: verified TLS unless the URL says `?tls=none`, every wait bounded."""

import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from functions.common.draining import PROCESS, Draining
from functions.common.killpoints import reach

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CONNECT_SECONDS = 10
COMMAND_SECONDS = 30
DATA_SECONDS = 120
QUIT_SECONDS = 1  # for a courtesy: what was sent is not recorded before it


class MailAwayError(Exception):
    """The server does not take the mail now: away, busy, or set up wrongly. Worth another try later.

    `ours` when it was refused for good before the recipient was named: somebody has to look at the settings.
    """

    def __init__(self, reason: str, ours: bool = False) -> None:
        super().__init__(reason)
        self.ours = ours


class MailRefusedError(Exception):
    """The server will never take this mail; the message is its code."""


class _Server(smtplib.SMTP):
    """Waits for no answer beyond the end of the process, until the mail is being handed over."""

    handing_over = False

    def __init__(self, draining: Draining, *arguments: Any, **options: Any) -> None:
        self._draining = draining
        super().__init__(*arguments, **options)

    def send(self, s: "str | ReadableBuffer") -> None:
        """Sends what smtplib has to say, the mail itself with the dot at its end in one piece."""
        super().send(s)
        if isinstance(s, bytes) and s.endswith(b"\r\n.\r\n"):
            reach("N4")

    def getreply(self) -> tuple[int, bytes]:
        with self._draining.cutting(self._cut):
            return super().getreply()

    def _cut(self) -> None:
        if (connection := self.sock) and not self.handing_over:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _SecureServer(_Server, smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""


class Mailer:
    """The server at `smtps://user:password@host:465`, or `smtp://...:587` for STARTTLS."""

    def __init__(self, url: str, draining: Draining = PROCESS) -> None:
        self._draining = draining
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._implicit = parts.scheme == "smtps"
        self._plain = parse_qs(parts.query).get("tls") == ["none"]
        if parts.scheme not in ("smtp", "smtps") or not self._host:
            raise ValueError("SMTP_URL must be smtp://host:port or smtps://host:port")

    def send(self, message: EmailMessage, before_data: Callable[[], None]) -> None:
        """Delivers `message`, calling `before_data` once the recipient is accepted. Raises the two errors above."""
        server = self._connect()
        reach("N3")
        try:
            _away(server.mail, message["From"].addresses[0].addr_spec)
            _refused(server.rcpt, message["To"].addresses[0].addr_spec)
            before_data()
            server.handing_over = True
            if server.sock:
                server.sock.settimeout(DATA_SECONDS)
            _refused(server.data, message.as_bytes(policy=message.policy.clone(linesep="\r\n")))
        finally:
            with suppress(smtplib.SMTPException, OSError):
                if server.sock:
                    server.sock.settimeout(QUIT_SECONDS)
                server.quit()

    def _connect(self) -> _Server:
        server: _Server | None = None
        options: dict[str, Any] = {"timeout": CONNECT_SECONDS}
        try:
            if self._implicit:
                options["context"] = _context()
                server = _SecureServer(self._draining, self._host, self._port or 465, **options)
            else:
                server = _Server(self._draining, self._host, self._port or 587, **options)
            self._greet(server)
        except (smtplib.SMTPException, OSError) as error:
            if server is not None:
                server.close()
            code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
            raise MailAwayError(f"{type(error).__name__}: {error}", ours=code >= 500) from error
        return server

    def _greet(self, server: smtplib.SMTP) -> None:
        if server.sock:
            server.sock.settimeout(COMMAND_SECONDS)
        server.ehlo()
        if not self._implicit and not self._plain:
            server.starttls(context=_context())
            server.ehlo()
        if self._user:
            server.login(self._user, self._password)


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _reply(command: Callable[..., tuple[int, bytes]], argument: str | bytes) -> int:
    try:
        return command(argument)[0]
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    except (smtplib.SMTPException, OSError) as error:
        raise MailAwayError(f"{type(error).__name__}: {error}") from error


def _away(command: Callable[..., tuple[int, bytes]], argument: str | bytes) -> None:
    if (code := _reply(command, argument)) >= 400:
        raise MailAwayError(f"answer {code}", ours=code >= 500)


def _refused(command: Callable[..., tuple[int, bytes]], argument: str | bytes) -> None:
    code = _reply(command, argument)
    if code >= 500:
        raise MailRefusedError(f"answer {code}")
    if code >= 400:
        raise MailAwayError(f"answer {code}")
