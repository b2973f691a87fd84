"""The mail client against a real SMTP server that answers as told."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from functions.common.draining import Draining
from functions.notify.mail import MailAwayError, Mailer, MailRefusedError
from local.ports import choose


class Inbox:
    """Keeps mails; `answers` overrides what a command is answered."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.mails: list[bytes] = []
        self.on_data: Callable[[], None] = lambda: None
        self.quit_seconds = 0.0

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        self.on_data()
        return self.answers.get("DATA", "250 OK")

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        await asyncio.sleep(self.quit_seconds)
        return "221 Bye"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def port(inbox: Inbox) -> Iterator[int]:
    controller = Controller(inbox, hostname="127.0.0.1", port=choose(set()))
    controller.start()
    yield controller.port
    controller.stop()


def message() -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = Address("Video to MP3", addr_spec="mp3@demo.example")
    mail["To"] = Address(addr_spec="a@demo.example")
    mail["Subject"] = "Your MP3 is ready"
    mail.set_content("Grüße\n.\nend\n", cte="quoted-printable")
    return mail


def send(port: int) -> list[str]:
    calls: list[str] = []
    Mailer(f"smtp://127.0.0.1:{port}?tls=none").send(message(), lambda: calls.append("before data"))
    return calls


def test_a_mail_arrives_as_it_was_written(inbox: Inbox, port: int) -> None:
    assert send(port) == ["before data"]

    (mail,) = inbox.mails
    assert b"Subject: Your MP3 is ready" in mail
    assert b"\r\n.\r\nend" in mail


@pytest.mark.parametrize(("command", "answer"), [("RCPT", "550 no such user"), ("DATA", "554 spam")])
def test_a_refusal_of_this_mail_is_final(inbox: Inbox, port: int, command: str, answer: str) -> None:
    inbox.answers[command] = answer

    with pytest.raises(MailRefusedError, match=answer[:3]):
        send(port)


@pytest.mark.parametrize(
    ("command", "answer"),
    [("RCPT", "450 greylisted"), ("DATA", "452 full"), ("MAIL", "421 busy"), ("MAIL", "550 not you")],
)
def test_anything_else_is_worth_another_try(inbox: Inbox, port: int, command: str, answer: str) -> None:
    inbox.answers[command] = answer

    with pytest.raises(MailAwayError, match=answer[:3]):
        send(port)


def test_a_server_that_is_not_there_is_worth_another_try() -> None:
    with pytest.raises(MailAwayError):
        send(choose(set()))


def test_without_tls_nothing_is_sent_unless_the_address_says_so(inbox: Inbox, port: int) -> None:
    with pytest.raises(MailAwayError):
        Mailer(f"smtp://user:secret@127.0.0.1:{port}").send(message(), lambda: None)

    assert inbox.mails == []


@pytest.mark.parametrize("greeting", [b"", b"220 slow\r\n"])
def test_waiting_for_a_silent_server_ends_with_the_process(greeting: bytes) -> None:
    process = Draining()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mailer = Mailer(f"smtp://127.0.0.1:{silent.getsockname()[1]}?tls=none", process)
        ended: list[BaseException] = []
        sending = threading.Thread(target=sends, args=[mailer, ended])
        sending.start()
        with silent.accept()[0] as client:
            client.sendall(greeting)
            time.sleep(0.3)
            assert sending.is_alive()

            process.end()

            sending.join(8)  # the shortest of the client's own limits is 10 s
            assert not sending.is_alive()

    assert [type(error) for error in ended] == [MailAwayError]


def sends(mailer: Mailer, ended: list[BaseException]) -> None:
    try:
        mailer.send(message(), lambda: None)
    except MailAwayError as error:
        ended.append(error)


def test_a_mail_that_is_being_handed_over_is_not_cut_off_by_the_end_of_the_process(inbox: Inbox, port: int) -> None:
    process = Draining()

    def ends_between_the_mail_and_its_answer() -> None:
        time.sleep(0.3)  # the client waits for the answer
        process.end()
        time.sleep(0.3)

    inbox.on_data = ends_between_the_mail_and_its_answer

    Mailer(f"smtp://127.0.0.1:{port}?tls=none", process).send(message(), lambda: None)

    assert len(inbox.mails) == 1


def test_a_slow_goodbye_does_not_hold_up_the_record_of_what_was_sent(inbox: Inbox, port: int) -> None:
    inbox.quit_seconds = 60
    sending = threading.Thread(target=send, args=[port])
    sending.start()

    sending.join(10)

    assert not sending.is_alive()
    assert len(inbox.mails) == 1
