"""The inbox that takes the mails on one machine."""

import smtplib
from email.message import EmailMessage

import requests

from local.stack import Stack


def shown(backing: Stack, path: str) -> requests.Response:
    return requests.get(f"{backing.inbox_url}/{path}", timeout=10)


def test_a_mail_is_shown_to_whom_it_was_sent_and_cannot_write_into_the_page(backing: Stack) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@demo.example", "b@demo.example", "Grüße <script>"
    message["Message-ID"] = "<1@demo.example>"
    message.set_content("<script>alert(1)</script>\n")
    address = backing.smtp_url.removeprefix("smtp://").partition("?")[0].split(":")

    with smtplib.SMTP(address[0], int(address[1])) as server:
        server.send_message(message, to_addrs=["c@demo.example"])

    (mail,) = shown(backing, "messages.json?to=c@demo.example").json()
    assert mail == {
        "to": "c@demo.example",
        "from": "a@demo.example",
        "subject": "Grüße <script>",
        "message_id": "<1@demo.example>",
        "text": "<script>alert(1)</script>\n",
    }
    assert shown(backing, "messages.json?to=b@demo.example").json() == []
    page = shown(backing, "").text
    assert "Grüße &lt;script&gt;" in page
    assert "<script>" not in page
