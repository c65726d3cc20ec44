"""email: checks a mailbox by IMAP; fires for new mails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.triggers.base import CheckContext
from scheduler.triggers.check_resources import CheckResources
from scheduler.triggers.looks import CheckResult, Document, LookConfig
from scheduler.triggers.mailbox import Account, Mailbox, MailIdentity, main_headers
from scheduler.triggers.options import Option

PORT = 993
MOST_MAILS = 20
"""The most mails of a firing; the others come with the next check."""
MOST_CHARS = 60_000
"""The size limit of a firing's mails together, as JSON; more would be cut."""
MOST_UNREADABLE = 5
"""The most unreadable mails of a firing: each may take a second."""
MOST_KNOWN = 1_000
"""How many mails are recognized after their mailbox was renumbered."""
MOST_EXAMINED = 5_000
"""How many mails one check examines."""
STALE = timedelta(days=7)
"""In a renumbered mailbox, a mail written this long before the newest known one counts as old."""
RENUMBERED = "The mailbox was renumbered (UIDVALIDITY changed); mails are counted from now on."
RENUMBERED_KEPT = "The mailbox was renumbered (UIDVALIDITY changed); mails were told apart by time and Message-ID."


class EmailConfig(LookConfig):
    """`{"host": "imap.example.org", "username": "ada@example.org", "password": "…"}`."""

    kind: ClassVar = "email"
    label: ClassVar = "Email"
    summary: ClassVar = "When mails arrive in a mailbox."
    for_agents: ClassVar = (
        '{"host": "imap.example.org", "username": "…", "password": "…", "from"?: "@example.org", '
        '"subject"?: "order"}: when mails come (only where the operator lets agents make these)'
    )
    icon: ClassVar = "M-5.5-4h11L0 .8ZM-5.5-2.6V4h11v-6.6L0 2.6Z"
    docs: ClassVar = "docs/triggers/email.md"
    secrets: ClassVar = ("password", "token")
    can_try: ClassVar = True
    needs_permission: ClassVar = True
    main_fields: ClassVar = ("host", "username", "password", "mailbox", "from", "subject")
    options: ClassVar = (
        Option("--imap-host", "host", "The mail server.", metavar="HOST"),
        Option("--imap-port", "port", "Its port, 993 unless set.", "number", metavar="PORT", implies=False),
        Option("--imap-user", "username", "The user name.", implies=False),
        Option("--imap-password", "password", "The password.", "secret", implies=False),
        Option("--imap-token", "token", "A token for XOAUTH2.", "secret", implies=False),
        Option("--mailbox", "mailbox", "The mailbox; default: INBOX.", implies=False),
        Option("--mail-from", "from", "Only mails from matching senders.", implies=False),
        Option("--mail-subject", "subject", "Only mails with a matching subject.", implies=False),
        Option("--mark-seen", "mark_seen", "Mark processed mails as read.", "flag", implies=False),
        Option("--every", "interval_seconds", "How often.", "duration", "20s|5m|2h|1d", implies=False),
    )
    data_headings: ClassVar = {
        "en": {"mails": "New mails:", "more": "Further mails, which come next:"},
        "zh": {"mails": "新邮件:", "more": "随后送达的其余邮件:"},
    }

    host: str = Field(
        min_length=1, max_length=255, title="Server", description="Its IMAP server, which must support TLS."
    )
    port: int = Field(default=PORT, ge=1, le=65535, title="Port")
    username: str = Field(min_length=1, max_length=500, title="User")
    password: str | None = Field(default=None, max_length=2_000, title="Password", description="Kept encrypted.")
    token: str | None = Field(
        default=None, max_length=10_000, title="Token", description="For XOAUTH2, instead of a password."
    )
    mailbox: str = Field(default="INBOX", min_length=1, max_length=500, title="Mailbox")
    from_contains: str | None = Field(
        default=None,
        validation_alias=AliasChoices("from", "from_contains"),
        min_length=1,
        max_length=500,
        title="From contains",
        description="Only mails from matching senders.",
    )
    subject_contains: str | None = Field(
        default=None,
        validation_alias=AliasChoices("subject", "subject_contains"),
        min_length=1,
        max_length=500,
        title="Subject contains",
        description="Only mails with a matching subject.",
    )
    mark_seen: bool = Field(
        default=False, title="Mark as read", description="Otherwise nothing in the mailbox changes."
    )

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for settings that could not sign in, or a server that must not be connected to."""
        if (self.password is None) == (self.token is None):
            raise InvalidField("Give a password, or a token for XOAUTH2.", field="password")
        if any(
            each in text for text in (self.username, self.password or "", self.token or "") for each in "\r\n\0"
        ):
            raise InvalidField("User, password and token must be single lines.", field="username")
        context.check_server(self.host, self.port, PORT)

    def look_with(self, cursor: Any, resources: CheckResources) -> CheckResult:
        """Reads the mails that have arrived since the last check."""
        address, account = resources.address_of(self.host, self.port), self._account()
        with account.opened(address) as box:
            validity, last = box.numbering(self.mailbox)
            there = box.choose(self.mailbox)
            if cursor is None or (cursor["validity"] != validity and "known" not in cursor):
                note = None if cursor is None else RENUMBERED
                left = _remembering({"validity": validity, "uid": last}, box.newest_heads(MOST_KNOWN, there))
                return CheckResult(left, note=note, shown={"mails": there})
            place = _placed(cursor, validity, last)
            if "known" not in place:  # from a version that did not remember it
                place = _remembering(place, box.newest_heads(MOST_KNOWN, there))
            waiting, examined = _waiting(box, place)
            taken = self._taken(box, waiting, resources)
        rest = len(waiting) - len(taken.heads)
        ends = [place["uid"], *(each.uid for each in taken.heads)]
        ends += [] if rest else [last if examined is None else examined]
        left = _remembering({**place, "uid": max(ends)}, taken.heads)
        more = rest > 0 or examined is not None
        if left["uid"] >= left.get("until", -1):
            left = {name: value for name, value in left.items() if name not in {"until", "since"}}
        note = RENUMBERED_KEPT if cursor["validity"] != validity else None
        if not taken.mails:
            return CheckResult(left, note=note, more=more)
        data = {"mails": taken.mails} | ({"more": rest} if rest else {})
        settled = partial(self._mark_seen, address, taken.uids) if self.mark_seen else None
        return CheckResult(left, data, note, documents=taken.documents, settled=settled, more=more)

    def fingerprint(self) -> str:
        """Depends only on the mailbox: another password, token or filter continues from the same position."""
        return sha256(
            json.dumps([self.kind, self.host, self.port, self.username, self.mailbox]).encode()
        ).hexdigest()

    def remembered(self, cursor: Any) -> Any:
        """Returns how far the mailbox was read."""
        return {name: cursor[name] for name in ("validity", "uid")}

    def _account(self) -> Account:
        return Account(self.host, self.port, self.username, self.password, self.token)

    def _mark_seen(self, address: str, uids: Sequence[int], _keys: Sequence[str]) -> None:
        with self._account().opened(address) as box:
            box.choose(self.mailbox, to_change=True)
            box.mark_seen(uids)

    def _taken(self, box: Mailbox, waiting: Sequence[MailIdentity], resources: CheckResources) -> _NewMails:
        """Reads mails, as many as fit into one firing."""
        taken, chars = _NewMails([], [], [], []), 0
        for head in waiting[:MOST_MAILS]:
            found = box.whole(head.uid)
            mail = None if found is None else self._wanted(read_mail(*found, resources))
            if found is not None and mail is not None:
                chars += len(json.dumps(mail, ensure_ascii=False))
                if taken.mails and chars > MOST_CHARS:
                    break
                is_cut = {"document_cut": True} if found[1] > len(found[0]) else {}
                taken.documents.append(Document(f"mail-{head.uid}.eml", "message/rfc822", found[0]))
                taken.mails.append({**mail, "document": len(taken.documents), **is_cut})
                taken.uids.append(head.uid)
            taken.heads.append(head)
            if sum("unreadable" in each for each in taken.mails) >= MOST_UNREADABLE:
                break
        return taken

    def _wanted(self, mail: Mapping[str, Any]) -> dict[str, Any] | None:
        for wanted, name in ((self.from_contains, "from"), (self.subject_contains, "subject")):
            is_known = name in mail or "unreadable" not in mail
            if wanted is not None and is_known and wanted.casefold() not in str(mail.get(name, "")).casefold():
                return None
        return dict(mail)


def read_mail(body: bytes, size: int, resources: CheckResources) -> dict[str, Any]:
    """Reads a mail; of one that cannot be read its main headers, and why: it must not hold up those after it."""
    try:
        return dict(resources.read("mail", body, size=size))
    except ReveilleError as error:
        why = error.message
    try:
        return {**resources.read("mail", main_headers(body), size=size), "unreadable": why}
    except ReveilleError:
        return {"size": size, "unreadable": why}


@dataclass(frozen=True, slots=True)
class _NewMails:
    """What a firing takes: the mails with UIDs and full bodies; `heads` includes unwanted ones."""

    mails: list[dict[str, Any]]
    uids: list[int]
    documents: list[Document]
    heads: list[MailIdentity]


def _placed(cursor: Mapping[str, Any], validity: int, last: int) -> dict[str, Any]:
    """Returns the cursor in this numbering of the mailbox.

    After renumbering, mails with numbers up to `until` may be new or not: arrival time and identity decide.
    """
    if cursor["validity"] == validity:
        return dict(cursor)
    since = cursor.get("since", cursor["newest"])
    return {**cursor, "validity": validity, "uid": 0, "until": last, "since": since}


def _waiting(box: Mailbox, place: Mapping[str, Any]) -> tuple[list[MailIdentity], int | None]:
    """Returns the mails that have arrived, in order, and the number up to which they were searched;

    None: all were.
    """
    uid, until = place["uid"], place.get("until", 0)
    if uid < until:
        since = None if place["since"] is None else datetime.fromisoformat(place["since"])
        numbers = box.uids_from(uid + 1, until, since)
        fresh = [each for each in box.heads(numbers[:MOST_EXAMINED]) if _is_new(each, place["known"], since)]
        if len(numbers) > MOST_EXAMINED:
            return fresh, numbers[MOST_EXAMINED - 1]
        uid = until
    else:
        fresh = []
    numbers = box.uids_from(uid + 1)
    heads = fresh + list(box.heads(numbers[:MOST_EXAMINED]))
    return heads, numbers[MOST_EXAMINED - 1] if len(numbers) > MOST_EXAMINED else None


def _is_new(head: MailIdentity, known: Sequence[str], since: datetime | None) -> bool:
    """Whether a mail in a renumbered mailbox is new.

    Some servers then give all mails a new arrival time; the date it was written reveals an old mail.
    """
    if head.known_as in known:
        return False
    if since is None:
        return True
    is_old = head.written is not None and head.written < since - STALE
    return not is_old and (head.arrived is None or head.arrived >= since)


def _remembering(place: Mapping[str, Any], heads: Sequence[MailIdentity]) -> dict[str, Any]:
    """Returns the cursor including these mails."""
    known = dict.fromkeys([each.known_as for each in reversed(heads)] + list(place.get("known", ())))
    times = [each.arrived.astimezone(UTC).isoformat() for each in heads if each.arrived is not None]
    newest = max([*times, *filter(None, [place.get("newest")])], default=None)
    return {**place, "known": list(known)[:MOST_KNOWN], "newest": newest}
