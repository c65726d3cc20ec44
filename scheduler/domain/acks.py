"""Acknowledgements: what an agent says of a firing that it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from scheduler.domain.errors import InvalidField
from scheduler.domain.local_time import read_iso
from scheduler.domain.text import storable

MAX_ACKS = 1_000
"""As many as one invocation can carry firings."""
MAX_SHOWN = 100
"""Bytes of a wrong value that are kept."""
SOONEST = timedelta(minutes=1)
"""No firing comes back sooner: one that is deferred again and again must not wake its agent without a pause."""
LATEST = timedelta(days=366)


MAX_DEFERRALS = 20
"""As often a firing can be put off; then its agent says what becomes of it."""


class AckStatus(StrEnum):
    """What becomes of a firing: it is done, it is to come back, or it was of no use."""

    HANDLED = "handled"
    DEFERRED = "deferred"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Ack:
    """What an agent says of one firing; `until` (aware) is given when it is deferred, and only then."""

    firing_id: UUID
    status: AckStatus
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.status is AckStatus.DEFERRED and self.until is None:
            raise InvalidField("A deferred firing needs until: when it is to come back.", field="until")
        if self.status is not AckStatus.DEFERRED and self.until is not None:
            raise InvalidField(f"until goes with status deferred, not with {self.status}.", field="until")


@dataclass(frozen=True, slots=True)
class Acked:
    """What became of one acknowledgement. `error` says why nothing did; `until` is when the firing comes back."""

    firing_id: str
    """As it was given, for a wrong one may be no id."""
    status: str | None
    until: datetime | None = None
    error: str | None = None


def read_acks(value: object) -> tuple[list[Ack], list[Acked]]:
    """Acknowledgements out of an agent's JSON: those that can be read, and why the others cannot. Never raises."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return [], [_unread(value, "acks must be a list of {firing_id, status, until?}.")]
    acks: list[Ack] = []
    wrong = [_unread(None, f"Only the first {MAX_ACKS} acks are read.")] if len(value) > MAX_ACKS else []
    for entry in value[:MAX_ACKS]:
        try:
            acks.append(_read(entry))
        except InvalidField as error:
            wrong.append(_unread(entry, error.message))
    return acks, wrong


def read_until(value: object) -> datetime:
    """A moment of RFC 3339; without an offset it is UTC. Raises InvalidField."""
    try:
        moment = read_iso(value) if isinstance(value, str) else None
        if moment is not None:
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidField("until must be a date and time of RFC 3339, such as 2030-01-31T09:00:00Z.", field="until")


def _read(entry: object) -> Ack:
    if not isinstance(entry, Mapping):
        raise InvalidField("An ack must be an object {firing_id, status, until?}.")
    until: Any = entry.get("until")
    return Ack(
        _read_id(entry.get("firing_id")),
        _read_status(entry.get("status")),
        None if until is None else read_until(until),
    )


def _read_id(value: object) -> UUID:
    try:
        return UUID(_text(value))
    except ValueError:
        raise InvalidField("firing_id must be the id of a firing.", field="firing_id") from None


def _read_status(value: object) -> AckStatus:
    try:
        return AckStatus(_text(value))
    except ValueError:
        raise InvalidField(f"status must be one of {', '.join(AckStatus)}.", field="status") from None


def _unread(entry: object, why: str) -> Acked:
    given: Mapping[Any, Any] = entry if isinstance(entry, Mapping) else {}
    return Acked(_text(given.get("firing_id")), _text(given.get("status")) or None, error=why)


def _text(value: object) -> str:
    """What of a wrong value can be shown: a text, cut, as PostgreSQL can hold it."""
    return storable(value, MAX_SHOWN)[0] if isinstance(value, str) else ""
