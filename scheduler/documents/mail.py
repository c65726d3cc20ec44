"""Reads a mail (RFC 5322): its sender, subject, text, and the names of its attachments."""

from __future__ import annotations

from typing import Any

from imap_tools import MailMessage

from scheduler.documents.page import plain_text
from scheduler.documents.text import cut, normalised

HEADER_CHARS = 500
MOST_ATTACHMENTS = 20


def read(body: bytes, *, size: int = 0, most: int = 2_000) -> dict[str, Any]:
    """Returns the mail with its text cut to `most` characters. Leaves out unreadable headers."""
    mail = MailMessage.from_bytes(body)
    names = [each.filename for each in mail.attachments if each.filename]
    text = normalised(mail.text.replace("\r\n", "\n")) or plain_text(mail.html)
    told = {
        "from": cut(mail.from_, HEADER_CHARS),
        "to": cut(", ".join(mail.to), HEADER_CHARS),
        "subject": cut(" ".join(mail.subject.split()), HEADER_CHARS),
        "date": cut(mail.date_str, 100),
        "message_id": cut(" ".join(mail.headers.get("message-id", ("",))[0].split()), HEADER_CHARS),
        "text": cut(text, most).replace("\0", "\ufffd"),
        "attachments": [cut(name, 200) for name in names[:MOST_ATTACHMENTS]],
        "size": size or len(body),
    }
    return {name: value for name, value in told.items() if value}
