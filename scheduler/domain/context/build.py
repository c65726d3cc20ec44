"""Builds the text that a woken agent reads: what woke it, why, and the data, which is fenced and labelled."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from scheduler.domain.charsets import decode_strictly
from scheduler.domain.context.safe_text import (
    fair_share,
    label_of,
    pretty,
    pretty_if_json,
    safe_block,
    safe_line,
    shortened,
)
from scheduler.domain.context.sources import (
    AS_SENT,
    is_named_by_tenant,
    is_task,
    messages_of,
    reason_of,
    sender_of,
    sent_of,
)
from scheduler.domain.context.translations import BETWEEN_TRIGGERS, END, WORDS, Language, Translation
from scheduler.domain.model import Trust

MAX_NAME_CHARS = 200
MAX_SENDER_CHARS = 100
MAX_REASON_CHARS = 4_000
MAX_TITLE_CHARS = 200
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,50}/[\w.+-]{1,50}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ContextFiring:
    """A firing as the context needs it. The trigger's fields come from the firing's snapshot.

    `slot_count`: the number of scheduled times, from `first_scheduled_for` to `scheduled_for`, that the firing
    covers; with `slots_exact` False it is a minimum. `payload`: the raw body. `data`: an object, or `{"messages":
    [{"from", "text", …}, …]}`, oldest first, with `from` a name or `{"name", …}`; with `message_id` and `length`,
    `text` may be the beginning of a longer message. `trust`: a Trust.
    """

    id: UUID
    trigger_name: str
    trigger_type: str
    reason: str
    focus_ref: str | None
    fired_at: datetime
    first_scheduled_for: datetime | None = None
    scheduled_for: datetime | None = None
    slot_count: int = 1
    slots_exact: bool = True
    payload: bytes | None = None
    content_type: str | None = None
    data: Mapping[str, Any] | None = None
    trust: str = Trust.SYSTEM
    deferred_until: datetime | None = None
    """For a deferred firing: until when its agent deferred it."""
    data_headings: Mapping[str, str] = field(default_factory=dict)
    """Headings for members of `data` in the agent's language, set by the trigger's kind; other members stay
    together.
    """


@dataclass(frozen=True, slots=True)
class ContextLimits:
    """The character limits of one piece of data and of all together, and the most messages shown per firing."""

    payload: int = 2_000
    message: int = 500
    """The limit for a message from an unverified sender."""
    known_message: int = 2_000
    task: int = 16_000
    """The limit for the agent's task."""
    messages: int = 20
    total: int = 48_000


def new_nonce() -> str:
    """Creates an unpredictable nonce for one invocation's fences."""
    return secrets.token_hex(8)


def build_context(
    firings: Sequence[ContextFiring], language: Language, nonce: str, limits: ContextLimits | None = None
) -> str:
    """Builds the context of an invocation, grouped by trigger in the order of their first firing.

    Text that may come from outside stands between `<<<data NONCE …>>>` and `<<<end NONCE>>>`, the agent's task
    between `<<<task NONCE …>>>` and the same end, on separate lines, or on one line after a label. Each piece is
    cut at its limit and, when the total is too long, to a fair share of it; a following line then says how much is
    missing and which firing has all of it.
    """
    return _Builder(language, nonce, limits or ContextLimits()).build(firings)


def session_title(names: Sequence[str], language: Language) -> str:
    """Returns the title of an invocation's session: its triggers' names without duplicates, at most 200
    characters.
    """
    joined = ", ".join(dict.fromkeys(safe_line(name, MAX_NAME_CHARS) for name in names))
    return shortened(WORDS[language].session_title.format(names=joined), MAX_TITLE_CHARS)


@dataclass(frozen=True, slots=True)
class _Data:
    """A piece of data under its heading. `text` is safe and already cut to its own limit."""

    heading: str
    text: str
    left_out: int
    quoted: bool = False
    message_id: str | None = None
    """The message that `text` comes from; None when the firing itself holds it."""
    is_task: bool = False
    """Whether the text is the agent's task."""
    is_heading_inside: bool = False
    """Whether the heading belongs inside the fence, because the text's sender chose the name in it."""


_Piece = _Data | str  # a str is a line of the frame itself
_Member = tuple[ContextFiring, list[_Piece]]


class _Builder:
    def __init__(self, language: Language, nonce: str, limits: ContextLimits) -> None:
        self._language, self._nonce, self._limits = language, nonce, limits
        self._words: Translation = WORDS[language]
        self._labels: frozenset[str] = frozenset()

    def build(self, firings: Sequence[ContextFiring]) -> str:
        groups: dict[tuple[str | None, ...], list[_Member]] = {}
        self._labels = frozenset(label_of(each) for firing in firings for each in firing.data_headings.values())
        for firing in firings:
            reason = reason_of(firing.trigger_type, firing.reason, firing.data, self._language)
            trigger = (firing.trigger_name, firing.trigger_type, reason, firing.focus_ref)
            groups.setdefault(trigger, []).append((firing, list(self._pieces(firing))))
        data = [
            piece
            for members in groups.values()
            for _, pieces in members
            for piece in pieces
            if isinstance(piece, _Data)
        ]
        share = fair_share((len(piece.text) for piece in data), self._limits.total)
        parts = ["\n".join(self._part(members, str(key[2]), share)) for key, members in groups.items()]
        words = self._words
        opening = [words.title, words.one_trigger if len(groups) == 1 else words.several_triggers]
        if any(not piece.is_task for piece in data):
            opening.append(words.about_data.format(nonce=self._nonce))
        if any(piece.is_task for piece in data):
            opening.append(words.about_task.format(nonce=self._nonce))
        return "\n".join([*opening, "", f"\n{BETWEEN_TRIGGERS}\n".join(parts), END])

    def _part(self, members: Sequence[_Member], reason: str, share: int) -> Iterator[str]:
        """Builds the lines of one trigger."""
        words, trigger = self._words, members[0][0]
        name = self._line(trigger.trigger_name, MAX_NAME_CHARS)
        yield words.trigger.format(name=name, type=self._line(trigger.trigger_type, MAX_NAME_CHARS))
        yield words.reason.format(reason=self._line(reason, MAX_REASON_CHARS))
        if trigger.focus_ref:
            yield words.focus.format(ref=self._line(trigger.focus_ref, MAX_NAME_CHARS))
        for n, (firing, pieces) in enumerate(members, 1):
            fired = words.fired if len(members) == 1 else words.nth_fired
            yield fired.format(time=_utc(firing.fired_at), id=firing.id, n=n, count=len(members))
            yield from self._slots(firing)
            if firing.deferred_until is not None:
                yield words.deferred.format(time=_utc(firing.deferred_until))
            for piece in pieces:
                yield from [piece] if isinstance(piece, str) else self._fenced(piece, firing, share)

    def _slots(self, firing: ContextFiring) -> Iterator[str]:
        if firing.scheduled_for is None:
            return
        last = _utc(firing.scheduled_for)
        if firing.slot_count == 1 and firing.slots_exact:
            yield self._words.scheduled.format(time=last)
        else:
            count = f"{firing.slot_count}{'' if firing.slots_exact else '+'}"
            first = _utc(firing.first_scheduled_for or firing.scheduled_for)
            yield self._words.slots_passed.format(time=last, count=count, first=first)

    def _fenced(self, piece: _Data, firing: ContextFiring, share: int) -> Iterator[str]:
        shown = piece.text[:share]
        left_out = piece.left_out + len(piece.text) - len(shown)
        source = self._line(firing.trigger_type, MAX_NAME_CHARS)
        fence = "task" if piece.is_task else "data"
        opening = f"<<<{fence} {self._nonce} source={source} trust={self._line(firing.trust, MAX_NAME_CHARS)}>>>"
        yield from [opening, piece.heading] if piece.is_heading_inside else [piece.heading, opening]
        yield f'"{shown}"' if piece.quoted else shown
        yield f"<<<end {self._nonce}>>>"
        if left_out and piece.message_id:
            yield self._words.truncated_message.format(count=left_out, id=piece.message_id)
        elif left_out:
            yield self._words.truncated.format(count=left_out, id=firing.id)

    def _pieces(self, firing: ContextFiring) -> Iterator[_Piece]:
        """Lists what the firing brought, in display order."""
        data = firing.data or {}
        if isinstance(data.get("messages"), list):
            yield from self._messages(firing, messages_of(data))
        else:
            headed = {name: heading for name, heading in firing.data_headings.items() if name in data}
            sent = sent_of(data) if headed else {}
            for name, heading in headed.items():
                title = self._line(heading, MAX_NAME_CHARS)
                yield self._sent(title, sent[name]) if name in sent else self._json(title, data[name])
            told = {*headed, AS_SENT} if sent else headed
            rest = {name: value for name, value in data.items() if name not in told}
            if rest:
                yield self._json(self._words.data, rest)
        if firing.payload is not None:
            yield self._payload(firing, firing.payload)

    def _messages(self, firing: ContextFiring, messages: Sequence[Mapping[Any, Any]]) -> Iterator[_Piece]:
        limits = self._limits
        left_out = max(len(messages) - limits.messages, 0)
        if left_out:
            yield self._words.earlier_messages.format(count=left_out, id=firing.id)
        limit = limits.message if firing.trust == Trust.UNAUTHENTICATED else limits.known_message
        for entry in messages[left_out:]:
            heading = self._words.message.format(sender=self._line(sender_of(entry), MAX_SENDER_CHARS))
            asks = is_task(firing.trust, entry)
            most = limits.task if asks else limit
            data = self._data(heading, str(entry.get("text") or ""), most, quoted=True)
            data = replace(data, is_task=asks, is_heading_inside=not is_named_by_tenant(entry))
            yield self._of_message(data, entry)
            if entry.get("task_id"):
                yield self._words.continues.format(id=self._line(str(entry["task_id"]), MAX_NAME_CHARS))
            if entry.get("delegation_id"):
                delegation = self._line(str(entry["delegation_id"]), MAX_NAME_CHARS)
                yield self._words.answer_expected.format(id=delegation)

    def _of_message(self, data: _Data, entry: Mapping[Any, Any]) -> _Data:
        message_id, length = entry.get("message_id"), entry.get("length")
        if not message_id or not isinstance(length, int):
            return data
        left_out = data.left_out + max(length - len(str(entry.get("text") or "")), 0)
        return replace(data, left_out=left_out, message_id=self._line(str(message_id), MAX_NAME_CHARS))

    def _payload(self, firing: ContextFiring, payload: bytes) -> _Piece:
        text = decode_strictly(payload, firing.content_type)
        if text is None:
            media_type = _MEDIA_TYPE.match(firing.content_type or "")
            kind = media_type[0] if media_type else "application/octet-stream"
            line = self._words.not_text.format(size=len(payload), type=kind, id=firing.id)
            return f"{self._words.payload}\n{line}"
        if not text:
            return f"{self._words.payload}\n{self._words.empty}"
        return self._sent(self._words.payload, text)

    def _sent(self, heading: str, text: str) -> _Data:
        return self._data(heading, pretty_if_json(text), self._limits.payload)

    def _json(self, heading: str, value: object) -> _Data:
        return self._data(heading, pretty(value), self._limits.payload)

    def _data(self, heading: str, text: str, limit: int, *, quoted: bool = False) -> _Data:
        # Making text safe only lengthens it, so anything past the limit can be dropped first.
        safe = safe_block(text[:limit], self._nonce, self._labels)
        left_out = max(len(text) - limit, 0) + max(len(safe) - limit, 0)
        return _Data(heading, safe[:limit], left_out, quoted)

    def _line(self, text: str, limit: int) -> str:
        return safe_line(text, limit, self._nonce)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
