"""The mails' words. Subjects are fixed and the sender is ours; a client's words stand in the body alone."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from functions.common.mongo import Document

POLICY = SMTP.clone(cte_type="7bit")  # not every server takes eight bits

READY = """\
Your MP3 is ready.

    Video:   {video}
    MP3:     {filename}, {size}
    MP3 id:  {file_id}

Fetch it with that id and an access token of your account:

    GET {base}/v1/mp3s/{file_id}
    Authorization: Bearer YOUR-TOKEN

It is kept until {expires} (UTC).
"""

FAILED = """\
Your video could not be converted.

    Video:   {video}
    Reason:  {detail}
    Code:    {code}
    Job:     {job_id}

Nothing of it is kept here. You can upload another file at any time.
"""


def compose(job: Document, sender: str, base: str) -> EmailMessage:
    """The mail for a job that is done or failed; `base` is the service's public address, or empty."""
    message = EmailMessage(POLICY)
    message["From"] = Address("Video to MP3", addr_spec=sender)
    message["To"] = Address(addr_spec=job["email"])
    message["Message-ID"] = f"<{job['_id']}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply to this
    video = job["video"]["filename"]
    if job["state"] == "done":
        message["Subject"] = "Your MP3 is ready"
        mp3 = job["mp3"]
        message.set_content(
            READY.format(
                video=video,
                filename=mp3["filename"],
                size=_size(mp3["length"]),
                file_id=mp3["file_id"],
                base=base.rstrip("/"),
                expires=job["expires"].strftime("%Y-%m-%d %H:%M"),
            )
        )
    else:
        message["Subject"] = "Your video could not be converted"
        error = job["error"]
        message.set_content(FAILED.format(video=video, detail=error["detail"], code=error["code"], job_id=job["_id"]))
    return message


def _size(length: int) -> str:
    return f"{length / 1_000_000:.1f} MB" if length >= 100_000 else f"{length / 1000:.1f} kB"
