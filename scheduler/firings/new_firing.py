"""A firing to record, the result, and whether and when its trigger may wake its agent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.firings.pace import paced
from scheduler.firings.trigger_locks import LockedTrigger

MOST_BYTES = 16 * 1024 * 1024
"""The size limit of a firing's payload and data from a kind's check."""


@dataclass(slots=True)
class NewFiring:
    """A firing to record: its trigger, its occurrence and its content."""

    trigger: LockedTrigger
    occurrence_key: str
    """Unique per trigger: an occurrence is recorded once, however often it is reported."""
    id: UUID = field(default_factory=new_id)
    first_scheduled_for: datetime | None = None
    scheduled_for: datetime | None = None
    """Its slots are nominal times, before jitter."""
    due_at: datetime | None = None
    """When its newest slot was to fire, if that differs from the slot."""
    slot_count: int = 1
    slots_exact: bool = True
    payload: bytes | None = None
    content_type: str | None = None
    data: dict[str, Any] | None = None
    trust: Trust = Trust.SYSTEM
    immediate: bool = False
    """The window closes now, as for an urgent trigger."""
    ignore_cooldown: bool = False
    ignore_pace: bool = False
    """Requested by a person: the pace of the agent's own triggers does not apply."""
    root_id: UUID | None = None
    depth: int = 0


def check_size(firing: NewFiring) -> None:
    """Raises ValueError for a firing larger than MOST_BYTES, and JSON's exceptions for its data."""
    size = len(firing.payload or b"") + (0 if firing.data is None else len(json.dumps(firing.data)))
    if size > MOST_BYTES:
        raise ValueError(f"A firing carries {size} bytes, and may at most {MOST_BYTES}.")


@dataclass(frozen=True)
class Recorded:
    """The result for each reported firing, by its id."""

    windows: Sequence[tuple[NewFiring, UUID]]
    """Each firing, duplicates included, with the invocation that is its window."""
    duplicates: dict[UUID, UUID]
    """Firing id to the id of the earlier firing of the same occurrence."""
    exhausted: frozenset[UUID]
    """Triggers that reached `max_fires` and are disabled. The caller stops their jobs."""
    next_due: datetime | None
    """When the first of the windows closes; None when all are held."""

    @cached_property
    def inserted(self) -> dict[UUID, UUID]:
        """Firing id to the id of the invocation that carries it."""
        return {firing.id: window_id for firing, window_id in self.windows if firing.id not in self.duplicates}

    @property
    def count(self) -> int:
        """How many were inserted."""
        return len(self.windows) - len(self.duplicates)


def gate(trigger: LockedTrigger, now: datetime) -> str | None:
    """Why `trigger` may not fire at `now`: `disabled`, `expired` or `max_fires`; None when it may."""
    if not trigger.is_enabled:
        return "disabled"
    if trigger.expires_at is not None and trigger.expires_at <= now:
        return "expired"
    if trigger.max_fires is not None and trigger.fire_count >= trigger.max_fires:
        return "max_fires"
    return None


def wake_at(firing: NewFiring, now: datetime) -> datetime:
    """When the agent may be woken for `firing`: after the window's delay and the trigger's cooldown."""
    trigger = firing.trigger
    allowed = now if firing.ignore_pace else paced(trigger, now)
    if firing.immediate or trigger.urgent:
        return allowed
    due = max(allowed, now + timedelta(seconds=trigger.dedup_delay_seconds))
    if trigger.last_wake_at is None or firing.ignore_cooldown:
        return due
    return max(due, trigger.last_wake_at + timedelta(seconds=trigger.cooldown_seconds))
