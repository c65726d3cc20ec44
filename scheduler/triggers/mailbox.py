"""A mailbox over IMAP and TLS at a checked address; nothing in it is changed unless requested."""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256

from imap_tools import BaseMailBox, MailboxLoginError
from imap_tools.errors import ImapToolsError

from scheduler.domain.errors import ReveilleError

SECONDS = 15.0
MAX_MAIL_BYTES = 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024
"""The size limit of all literals of a connection."""
HEADS_AT_ONCE = 1_000
MAX_HEADERS_BYTES, MAX_HEADER_BYTES = 65_536, 500
MAIN_HEADERS = frozenset({b"from", b"to", b"subject", b"date", b"message-id"})

_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_UID = re.compile(rb"\bUID (\d+)")
_ARRIVED = re.compile(rb'INTERNALDATE "([^"]+)"')
_FOLD = re.compile(rb"\r?\n[ \t]+")
_HEAD = "(UID INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)]<0.8192>)"


class MailboxUnreadable(ReveilleError):
    """The mailbox could not be read."""

    status = 502
    problem = "mailbox-unread"


@dataclass(frozen=True, slots=True)
class MailIdentity:
    """The identity of a mail. `known_as` stays the same when its mailbox is renumbered."""

    uid: int
    known_as: str
    arrived: datetime | None
    """When the server received it, by the server's clock."""
    written: datetime | None


@dataclass(frozen=True, slots=True)
class Account:
    """The account to sign in with: a password, or a token for XOAUTH2."""

    host: str
    port: int
    username: str
    password: str | None
    token: str | None

    @contextmanager
    def opened(self, address: str) -> Iterator[Mailbox]:
        """Opens the account's mailboxes on the server at `address`. Raises MailboxUnreadable, inside the block too."""
        with _errors(self.host):
            box = Mailbox(self.host, self.port, address)
            try:
                self._sign_in(box)
                yield box
            finally:
                try:
                    box.logout()
                except (OSError, imaplib.IMAP4.error, ImapToolsError):
                    box.client.shutdown()

    def _sign_in(self, box: Mailbox) -> None:
        if self.token is not None:
            box.authenticate("XOAUTH2", f"user={self.username}\1auth=Bearer {self.token}\1\1".encode())
        elif f"{self.username}{self.password}".isascii():
            box.login(self.username, self.password or "", initial_folder=None)
        else:  # LOGIN is for ASCII
            box.authenticate("PLAIN", f"\0{self.username}\0{self.password}".encode())


class Mailbox(BaseMailBox):
    """A mailbox of such a connection."""

    def __init__(self, host: str, port: int, address: str) -> None:
        self._at = host, port, address
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return _Imap(*self._at)

    def authenticate(self, mechanism: str, said: bytes) -> None:
        """Signs in with the initial response of a SASL mechanism. Raises MailboxLoginError."""

        def answer(challenge: bytes) -> bytes:
            return b"" if challenge else said  # a challenge gives the reason for the refusal

        try:
            self.client.authenticate(mechanism, answer)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            raise MailboxLoginError(("NO", str(error)), "OK") from None

    def numbering(self, mailbox: str) -> tuple[int, int]:
        """Returns UIDVALIDITY and the highest possible UID."""
        state = self.folder.status(mailbox, ["UIDVALIDITY", "UIDNEXT"])
        return state["UIDVALIDITY"], state["UIDNEXT"] - 1

    def choose(self, mailbox: str, *, to_change: bool = False) -> int:
        """Selects a mailbox; returns how many mails it has."""
        _, (count, *_) = self.folder.set(mailbox, readonly=not to_change)
        return int(count)

    def uids_from(self, first: int, last: int | None = None, since: datetime | None = None) -> list[int]:
        """Returns the UIDs from `first` to `last` of mails that arrived on the day before `since` or later, in
        order.
        """
        asked = f"UID {first}:{'*' if last is None else last}"
        if since is not None:  # whole days, in a time zone that the server chooses
            asked += f" SINCE {imaplib.Time2Internaldate(since - timedelta(days=1))[1:12].strip()}"
        found = sorted(map(int, self.uids(asked, charset=None)))
        # `n:*` names the newest mail also where its number is smaller than n.
        return [uid for uid in found if uid >= first]

    def heads(self, uids: Sequence[int]) -> Iterator[MailIdentity]:
        """Returns the headers of these mails, without deleted ones."""
        for start in range(0, len(uids), HEADS_AT_ONCE):
            chosen = ",".join(map(str, uids[start : start + HEADS_AT_ONCE]))
            yield from _heads(self.client.uid("FETCH", chosen, _HEAD)[1])

    def newest_heads(self, count: int, there: int) -> list[MailIdentity]:
        """Returns those of the newest mails that still exist."""
        if not there:
            return []
        return list(_heads(self.client.fetch(f"{max(there - count + 1, 1)}:*", _HEAD)[1]))

    def whole(self, uid: int) -> tuple[bytes, int] | None:
        """Returns the first MAX_MAIL_BYTES of a mail and its length; None for a deleted one."""
        _, parts = self.client.uid("FETCH", str(uid), f"(RFC822.SIZE BODY.PEEK[]<0.{MAX_MAIL_BYTES}>)")
        for said, body in _literals(parts):
            size = _SIZE.search(said)
            return body, int(size[1]) if size else len(body)
        return None

    def mark_seen(self, uids: Collection[int]) -> None:
        """Marks mails as read and changes nothing else."""
        self.client.uid("STORE", ",".join(map(str, uids)), "+FLAGS.SILENT", "(\\Seen)")


class _Imap(imaplib.IMAP4_SSL):
    """Connects to a checked address under the host's name, and reads at most MAX_BYTES."""

    def __init__(self, host: str, port: int, address: str) -> None:
        self._address = address
        self._left = MAX_BYTES
        super().__init__(host, port, ssl_context=ssl.create_default_context(), timeout=SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self._address, self.port), timeout)
        secured: socket.socket = self.ssl_context.wrap_socket(plain, server_hostname=self.host)
        return secured

    def read(self, size: int) -> bytes:
        """Reads a literal from the server."""
        self._left -= size
        if self._left < 0:
            raise self.abort(f"it sends more than {MAX_BYTES} bytes")
        return super().read(size)


def _literals(parts: Sequence[bytes | tuple[bytes, bytes] | None]) -> Iterator[tuple[bytes, bytes]]:
    """Yields each literal of a FETCH response, with the text before and after it."""
    for place, part in enumerate(parts):
        if isinstance(part, tuple):
            after = parts[place + 1] if place + 1 < len(parts) else None
            yield part[0] + (after if isinstance(after, bytes) else b""), part[1]


def _heads(parts: Sequence[bytes | tuple[bytes, bytes] | None]) -> Iterator[MailIdentity]:
    for said, text in _literals(parts):
        uid, arrived = _UID.search(said), _ARRIVED.search(said)
        if uid is not None:
            yield _head(int(uid[1]), _date(arrived[1]) if arrived else None, text)


def main_headers(mail: bytes) -> bytes:
    """Returns a mail with nothing but the start of the headers that say what it is."""
    top = re.split(rb"\r?\n\r?\n", mail[:MAX_HEADERS_BYTES], maxsplit=1)[0]
    lines = _FOLD.sub(b" ", top).splitlines()
    kept = [line[:MAX_HEADER_BYTES] for line in lines if line.partition(b":")[0].strip().lower() in MAIN_HEADERS]
    return b"\r\n".join([*kept[: len(MAIN_HEADERS)], b"", b""])


def _head(uid: int, arrived: datetime | None, text: bytes) -> MailIdentity:
    lines = [line.partition(b":") for line in _FOLD.sub(b" ", text).splitlines()]
    fields = {name.strip().lower(): value.strip() for name, colon, value in lines if colon}
    known_as = fields.get(b"message-id") or b"\n".join(fields[name] for name in sorted(fields))
    return MailIdentity(uid, sha256(known_as).hexdigest()[:16], arrived, _written(fields.get(b"date", b"")))


def _date(text: bytes) -> datetime | None:
    try:
        return datetime.strptime(text.decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    except ValueError:
        return None


def _written(text: bytes) -> datetime | None:
    try:
        found = parsedate_to_datetime(text.decode("ascii", "replace"))
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo is not None else None


@contextmanager
def _errors(host: str) -> Iterator[None]:
    """Converts errors of a mail server to MailboxUnreadable."""
    try:
        yield
    except MailboxLoginError:
        raise MailboxUnreadable(f"{host} refuses the user or the password (or token).") from None
    except ssl.SSLError as error:
        raise MailboxUnreadable(f"{host} offers no TLS that can be trusted: {error.reason}.") from None
    except TimeoutError:
        raise MailboxUnreadable(f"{host} did not answer within {SECONDS:g} s.") from None
    except (ImapToolsError, imaplib.IMAP4.error) as error:
        raise MailboxUnreadable(f"{host} refuses, or has no such mailbox: {str(error)[:200]}") from None
    except OSError as error:
        raise MailboxUnreadable(f"No connection to {host}: {error.strerror or error}.") from None
