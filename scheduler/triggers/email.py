"""email: a mailbox looked at by IMAP; fires with the mails that have come."""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from imap_tools import BaseMailBox, MailboxLoginError
from imap_tools.errors import ImapToolsError
from pydantic import Field

from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.triggers.base import CheckContext
from scheduler.triggers.looks import LookConfig, Sighting
from scheduler.triggers.means import Means
from scheduler.triggers.options import Option

SECONDS = 15.0
MOST_MAILS = 20
"""Of a firing; those that are left come with the next look."""
MAX_MAIL_BYTES = 1024 * 1024
RENUMBERED = "The mailbox was numbered anew (UIDVALIDITY changed); mails are counted from now on."

_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")


class MailboxUnread(ReveilleError):
    """The mailbox could not be read."""

    status = 502
    problem = "mailbox-unread"


class EmailConfig(LookConfig):
    """`{"host": "imap.example.org", "username": "ada@example.org", "password": "…"}`."""

    kind: ClassVar = "email"
    label: ClassVar = "Email"
    summary: ClassVar = "When mails come to a mailbox."
    for_agents: ClassVar = (
        '{"host": "imap.example.org", "username": "…", "password": "…", "from_contains"?: "@example.org", '
        '"subject_contains"?: "order"}: when mails come (only where the operator lets agents make these)'
    )
    icon: ClassVar = "M-5.5-4h11v8h-11ZM-5.5-4 0 1 5.5-4"
    docs: ClassVar = "docs/triggers/email.md"
    secrets: ClassVar = ("password", "token")
    can_try: ClassVar = True
    needs_permission: ClassVar = True
    main_fields: ClassVar = ("host", "username", "password", "mailbox", "from_contains", "subject_contains")
    options: ClassVar = (
        Option("--imap-host", "host", "The mail server.", metavar="HOST"),
        Option("--imap-user", "username", "Who signs in.", implies=False),
        Option("--imap-password", "password", "The password.", "secret", implies=False),
    )
    data_headings: ClassVar = {
        "en": {"mails": "New mails:", "more": "Further mails, which come next:"},
        "zh": {"mails": "新邮件:", "more": "随后送达的其余邮件:"},
    }

    host: str = Field(min_length=1, max_length=255, title="Server", description="Its IMAP server, by TLS.")
    port: int = Field(default=993, ge=1, le=65535, title="Port")
    username: str = Field(min_length=1, max_length=500, title="User")
    password: str | None = Field(default=None, max_length=2_000, title="Password", description="Kept encrypted.")
    token: str | None = Field(
        default=None, max_length=10_000, title="Token", description="For XOAUTH2, instead of a password."
    )
    mailbox: str = Field(default="INBOX", min_length=1, max_length=500, title="Mailbox")
    from_contains: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        title="From contains",
        description="Only mails of such senders.",
    )
    subject_contains: str | None = Field(
        default=None, min_length=1, max_length=500, title="Subject contains", description="Only mails about such."
    )
    mark_seen: bool = Field(
        default=False, title="Mark as read", description="Else nothing in the mailbox changes."
    )

    def check(self, context: CheckContext) -> None:
        """Refuse what would not sign in, and a server that may not be connected to."""
        if (self.password is None) == (self.token is None):
            raise InvalidField("Give a password, or a token for XOAUTH2.", field="password")
        if any(
            each in text for text in (self.username, self.password or "", self.token or "") for each in "\r\n\0"
        ):
            raise InvalidField("User, password and token are each one line.", field="username")
        try:
            context.check_request(f"https://{self.host}:{self.port}/", {})
        except InvalidField as error:
            raise InvalidField(error.message, field="host") from None

    def look_with(self, cursor: Any, means: Means) -> Sighting:
        """Read the mails whose number is greater than that of the last one seen."""
        with _errors(self.host), self._opened(means.address_of(self.host, self.port)) as box:
            state = box.folder.status(self.mailbox, ["UIDVALIDITY", "UIDNEXT"])
            validity, last = state["UIDVALIDITY"], state["UIDNEXT"] - 1
            if cursor is None or cursor["validity"] != validity:
                note = None if cursor is None else RENUMBERED
                return Sighting({"validity": validity, "uid": last}, note=note, shown={"mails": last})
            box.folder.set(self.mailbox, readonly=not self.mark_seen)
            found = box.uids(f"UID {cursor['uid'] + 1}:*", charset=None)
            # `n:*` names the newest mail also where its number is smaller than n.
            uids = sorted(uid for uid in map(int, found) if uid > cursor["uid"])
            taken, mails, seen = uids[:MOST_MAILS], [], []
            for uid in taken:
                raw, size = _whole(box, uid)
                if raw is not None:
                    wanted = self._wanted(means.read("mail", raw, size=size))
                    mails += wanted
                    seen += [str(uid)] * len(wanted)
            if self.mark_seen and seen:
                box.flag(seen, ["\\Seen"], value=True)
        left = {"validity": validity, "uid": taken[-1] if taken else max(cursor["uid"], last)}
        more = len(uids) - len(taken)
        return Sighting(left, ({"mails": mails} | ({"more": more} if more else {})) if mails else None)

    def _wanted(self, mail: Mapping[str, Any]) -> list[dict[str, Any]]:
        for wanted, name in ((self.from_contains, "from"), (self.subject_contains, "subject")):
            if wanted is not None and wanted.casefold() not in str(mail.get(name, "")).casefold():
                return []
        return [dict(mail)]

    @contextmanager
    def _opened(self, address: str) -> Iterator[BaseMailBox]:
        box = _MailBox(self.host, self.port, address)
        try:
            if self.token is not None:
                box.xoauth2(self.username, self.token, initial_folder=None)
            else:
                box.login(self.username, self.password or "", initial_folder=None)
            yield box
        finally:
            try:
                box.logout()
            except (OSError, imaplib.IMAP4.error, ImapToolsError):
                box.client.shutdown()


class _Imap(imaplib.IMAP4_SSL):
    """Connects to an address that was admitted, under the host's name."""

    def __init__(self, host: str, port: int, address: str) -> None:
        self._address = address
        super().__init__(host, port, ssl_context=ssl.create_default_context(), timeout=SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self._address, self.port), timeout)
        secured: socket.socket = self.ssl_context.wrap_socket(plain, server_hostname=self.host)
        return secured


class _MailBox(BaseMailBox):
    """A mailbox of such a connection."""

    def __init__(self, host: str, port: int, address: str) -> None:
        self._at = host, port, address
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return _Imap(*self._at)


def _whole(box: BaseMailBox, uid: int) -> tuple[bytes | None, int]:
    """The first 1 MiB of a mail, and how long it is; None for one that is gone. Nothing is marked as read."""
    _, parts = box.client.uid("FETCH", str(uid), f"(RFC822.SIZE BODY.PEEK[]<0.{MAX_MAIL_BYTES}>)")
    for part in parts:
        if isinstance(part, tuple):
            size = _SIZE.search(part[0])
            return part[1], int(size[1]) if size else len(part[1])
    return None, 0


@contextmanager
def _errors(host: str) -> Iterator[None]:
    """Turn what goes wrong with a mail server into a MailboxUnread."""
    try:
        yield
    except MailboxLoginError:
        raise MailboxUnread(f"{host} refuses the user or the password (or token).") from None
    except ssl.SSLError as error:
        raise MailboxUnread(f"{host} offers no TLS that can be trusted: {error.reason}.") from None
    except TimeoutError:
        raise MailboxUnread(f"{host} did not answer within {SECONDS:g} s.") from None
    except (ImapToolsError, imaplib.IMAP4.error) as error:
        raise MailboxUnread(f"{host} refuses, or the mailbox is not there: {str(error)[:200]}") from None
    except OSError as error:
        raise MailboxUnread(f"No connection to {host}: {error.strerror or error}.") from None
