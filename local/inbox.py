"""The mail server of one machine: takes every mail, keeps it in a Maildir, shows it on a page and as JSON.

Run as `python -m local.inbox SMTP_HOST SMTP_PORT HTTP_PORT FOLDER`. On loopback alone, `GET /` is the page, and
`GET /messages.json?to=ADDRESS` gives the mails, the oldest first, as {to, from, subject, message_id, text}.
"""

import email
import email.policy
import html
import json
import mailbox
import signal
import sys
from collections.abc import Mapping
from email.message import EmailMessage
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from local import checks
from local.ports import LOOPBACK
from local.process import Program

PAGE = """\
<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Inbox</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }}
article {{ border-top: 1px solid #999 }} h2 {{ font-size: 1.1rem }} pre {{ white-space: pre-wrap }}</style>
<h1>Inbox</h1><p>Mails: {count}, the newest first. Nothing leaves this machine.</p>
{mails}</html>
"""
MAIL = "<article><h2>{subject}</h2><p>To {to}, from {from}</p><pre>{text}</pre></article>\n"


def program(home: Path, smtp_port: int, port: int, environment: Mapping[str, str], host: str = LOOPBACK) -> Program:
    """The server, with its mails in `home`."""
    command = [sys.executable, "-m", "local.inbox", host, str(smtp_port), str(port), str(home)]
    return Program("inbox", command, environment, partial(_ready, host, smtp_port, port), port)


def _ready(host: str, smtp_port: int, port: int) -> bool:
    return checks.speaks(smtp_port, host) and checks.serves(port, "/messages.json?to=nobody")


class Receiver:
    """Keeps what arrives; each recipient of the envelope stands in a Delivered-To header."""

    def __init__(self, folder: Path) -> None:
        self._box = mailbox.Maildir(folder, create=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Answers 250 once the mail is on the disk."""
        content = envelope.original_content or b""
        recipients = "".join(f"Delivered-To: {address}\r\n" for address in envelope.rcpt_tos)
        self._box.add(recipients.encode() + content)
        return "250 kept"


def messages(folder: Path, to: str | None) -> list[dict[str, str]]:
    """The mails, the oldest first; those to `to` alone where it is given."""
    files = sorted((folder / "new").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    found = (_parsed(file.read_bytes()) for file in files)
    return [mail for mail, recipients in found if to is None or to in recipients]


def _parsed(content: bytes) -> tuple[dict[str, str], list[str]]:
    message: EmailMessage = email.message_from_bytes(content, policy=email.policy.default)
    body = message.get_body(("plain",))
    recipients = [str(address) for address in message.get_all("Delivered-To", [])]
    headers = {"from": "From", "subject": "Subject", "message_id": "Message-ID"}
    mail = {name: str(message.get(header, "")) for name, header in headers.items()}
    text = body.get_content().replace("\r\n", "\n") if body else ""
    return {"to": ", ".join(recipients), **mail, "text": text}, recipients


class Handler(BaseHTTPRequestHandler):
    """The page and the JSON."""

    def __init__(self, folder: Path, *arguments: Any) -> None:
        self._folder = folder
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answers one request."""
        address = urlsplit(self.path)
        if address.path == "/messages.json":
            to = parse_qs(address.query).get("to", [None])[0]
            self._answer("application/json", json.dumps(messages(self._folder, to)))
        elif address.path == "/":
            self._answer("text/html; charset=utf-8", self._page())
        else:
            self.send_error(404)

    def log_message(self, *_: Any) -> None:
        """Says nothing: the page asks for itself every few seconds."""

    def _page(self) -> str:
        mails = messages(self._folder, None)[::-1]
        shown = [MAIL.format_map({name: html.escape(text) for name, text in mail.items()}) for mail in mails]
        return PAGE.format(count=len(mails), mails="".join(shown) or "<p>Nothing has arrived yet.</p>")

    def _answer(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(body)


def main(host: str, smtp_port: int, port: int, folder: Path) -> None:
    """Serves until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = ThreadingHTTPServer((LOOPBACK, port), partial(Handler, folder))
    Controller(Receiver(folder), hostname=host, port=smtp_port).start()
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
