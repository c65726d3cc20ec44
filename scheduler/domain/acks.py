"""Acknowledgements: what an agent reports about the firings it was given."""

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
"""The most acknowledgements in one reply: as many as one invocation can carry firings."""
MAX_SHOWN = 100
"""How many bytes of an invalid value are kept."""
SOONEST = timedelta(minutes=1)
"""The shortest deferral, so that a firing deferred repeatedly does not wake its agent without a pause."""
LATEST = timedelta(days=366)


MAX_DEFERRALS = 20
"""How often a firing can be deferred. After that its agent has to decide."""


class AckStatus(StrEnum):
    """The outcome of a firing: handled, to come back later, or ignored."""

    HANDLED = "handled"
    DEFERRED = "deferred"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Ack:
    """An agent's acknowledgement of one firing. `until` (aware) is given only when it is deferred."""

    firing_id: UUID
    status: AckStatus
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.status is AckStatus.DEFERRED and self.until is None:
            raise InvalidField("A deferred firing needs until: the time when it comes back.", field="until")
        if self.status is not AckStatus.DEFERRED and self.until is not None:
            raise InvalidField(
                f"until is only allowed with status deferred, not with {self.status}.", field="until"
            )


@dataclass(frozen=True, slots=True)
class AckResult:
    """The result of one acknowledgement. `error` says why it had no effect; `until` is when the firing comes back."""

    firing_id: str
    """As given, since an invalid one may not be an id."""
    status: str | None
    until: datetime | None = None
    error: str | None = None


def read_acks(value: object) -> tuple[list[Ack], list[AckResult]]:
    """Reads acknowledgements from an agent's JSON: the valid ones, and why the others are invalid. Never raises."""
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
    """Reads an RFC 3339 time; without an offset it is UTC. Raises InvalidField."""
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


def _unread(entry: object, why: str) -> AckResult:
    given: Mapping[Any, Any] = entry if isinstance(entry, Mapping) else {}
    return AckResult(_text(given.get("firing_id")), _text(given.get("status")) or None, error=why)


def _text(value: object) -> str:
    """Returns a printable, shortened form of an invalid value that PostgreSQL can store."""
    return storable(value, MAX_SHOWN)[0] if isinstance(value, str) else ""
