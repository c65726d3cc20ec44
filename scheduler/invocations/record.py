"""Recording: every firing is written here, once, with its window and its counters, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.storage.arrays import array, time_array, unless_all, uuid_array
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import notify
from scheduler.storage.live import Change, tell
from scheduler.storage.recording import (
    CLOSE_FULL_WINDOWS,
    COUNT_TRIGGERS,
    DROP_EMPTY_WINDOWS,
    FIND_RECORDED,
    INSERT_FIRINGS,
    INSERT_NEW_FIRINGS,
    OPEN_WINDOWS,
    SHRINK_WINDOWS,
)
from scheduler.storage.triggers import LockedTrigger

SOON = timedelta(seconds=5)
"""Schedulers look at least this often, so only what is due sooner needs a NOTIFY."""


@dataclass(slots=True)
class NewFiring:
    """A firing to record: of which trigger, by which occurrence, with what."""

    trigger: LockedTrigger
    occurrence_key: str
    """Unique for the trigger: the same occurrence is recorded once, however often it is reported."""
    id: UUID = field(default_factory=new_id)
    first_scheduled_for: datetime | None = None
    scheduled_for: datetime | None = None
    slot_count: int = 1
    slots_exact: bool = True
    payload: bytes | None = None
    content_type: str | None = None
    data: dict[str, Any] | None = None
    trust: Trust = Trust.SYSTEM
    immediate: bool = False
    """The window closes now, as it does for an urgent trigger."""
    ignore_cooldown: bool = False
    root_id: UUID | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of each reported firing, by its id."""

    inserted: dict[UUID, UUID]
    """Firing id to the id of the invocation that will carry it."""
    duplicates: dict[UUID, UUID]
    """Firing id to the id of the firing that had recorded the same occurrence before."""
    exhausted: frozenset[UUID]
    """Triggers that this brought to `max_fires`: disabled. Their jobs are the caller's to stop."""
    next_due: datetime | None
    """When the first of the windows closes; None when all are held."""


@dataclass(slots=True)
class _Opening:
    """What the firings of one agent ask of its window; `trigger` is any of them, for the agent's settings."""

    trigger: LockedTrigger
    due_at: datetime
    count: int = 1


@dataclass(frozen=True, slots=True)
class Window:
    """The collecting invocation that a firing goes into."""

    id: UUID
    due_at: datetime | None


def gate(trigger: LockedTrigger, now: datetime) -> str | None:
    """Why `trigger` may not fire at `now`: `disabled`, `expired` or `max_fires`; None when it may."""
    if not trigger.is_enabled:
        return "disabled"
    if trigger.expires_at is not None and trigger.expires_at <= now:
        return "expired"
    if trigger.max_fires is not None and trigger.fire_count >= trigger.max_fires:
        return "max_fires"
    return None


def record_firings(conn: Connection, firings: Sequence[NewFiring], *, announce: bool = True) -> Recorded:
    """Record `firings`, all passed by their gates, in the caller's transaction, which holds their triggers' locks.

    Windows first, for a firing must know its invocation; counters last, for only inserted rows count.
    `announce` wakes the schedulers at commit when a window closes soon.
    """
    if not firings:
        return Recorded({}, {}, frozenset(), None)
    now = max(firing.trigger.read_at for firing in firings)
    by_agent = _open_windows(conn, firings, now)
    windows = [by_agent[firing.trigger.agent_id] for firing in firings]
    duplicates = _insert_firings(conn, firings, windows, now)
    inserted = [
        (firing, window)
        for firing, window in zip(firings, windows, strict=True)
        if not duplicates or firing.id not in duplicates
    ]
    exhausted = _count_triggers(conn, inserted, now)
    next_due = min((window.due_at for window in by_agent.values() if window.due_at), default=None)
    if announce and next_due is not None and next_due <= now + SOON:
        notify(conn)
    tell(conn, [Change(tenant_id, "firing") for tenant_id in {firing.trigger.tenant_id for firing, _ in inserted}])
    return Recorded({firing.id: window.id for firing, window in inserted}, duplicates, exhausted, next_due)


def wake_at(firing: NewFiring, now: datetime) -> datetime:
    """When the agent may be woken for `firing`: the window's delay on, but not while its trigger cools down."""
    trigger = firing.trigger
    if firing.immediate or trigger.urgent:
        return now
    due = now + timedelta(seconds=trigger.dedup_delay_seconds)
    if trigger.last_wake_at is None or firing.ignore_cooldown:
        return due
    return max(due, trigger.last_wake_at + timedelta(seconds=trigger.cooldown_seconds))


def _open_windows(conn: Connection, firings: Sequence[NewFiring], now: datetime) -> dict[UUID, Window]:
    """Open or join each agent's window; its due time only ever moves forward in a reader's favour: earlier."""
    openings: dict[UUID, _Opening] = {}
    for firing in firings:
        opening = openings.get(firing.trigger.agent_id)
        if opening is None:
            openings[firing.trigger.agent_id] = _Opening(firing.trigger, wake_at(firing, now))
        else:
            opening.due_at = min(opening.due_at, wake_at(firing, now))
            opening.count += 1
    rows = conn.execute(
        OPEN_WINDOWS,
        {
            "now": now,
            "ids": uuid_array(new_id() for _ in openings),
            "tenant_ids": uuid_array(opening.trigger.tenant_id for opening in openings.values()),
            "agent_ids": uuid_array(openings),
            "due_ats": time_array(opening.due_at for opening in openings.values()),
            "counts": array(opening.count for opening in openings.values()),
        },
    ).all()
    full = [row.id for row in rows if row.firing_count >= openings[row.agent_id].trigger.max_batch]
    if full:
        conn.execute(CLOSE_FULL_WINDOWS, {"ids": full, "now": now})
    early = frozenset(full)
    return {
        row.agent_id: Window(row.id, now if row.id in early and row.due_at is not None else row.due_at)
        for row in rows
    }


def _insert_firings(
    conn: Connection, firings: Sequence[NewFiring], windows: Sequence[Window], now: datetime
) -> dict[UUID, UUID]:
    """Insert what is new; returns the rest: firing id to the id of the firing recorded before."""
    values = {
        "now": now,
        "ids": uuid_array(firing.id for firing in firings),
        "trigger_ids": uuid_array(firing.trigger.id for firing in firings),
        "keys": [firing.occurrence_key for firing in firings],
        "firsts": time_array(firing.first_scheduled_for for firing in firings),
        "lasts": time_array(firing.scheduled_for for firing in firings),
        "counts": unless_all([firing.slot_count for firing in firings], 1),
        "exacts": unless_all([firing.slots_exact for firing in firings], True),
        "content_types": unless_all([firing.content_type for firing in firings], None),
        "payloads": unless_all([firing.payload for firing in firings], None),
        "datas": unless_all([firing.data for firing in firings], None),
        "trusts": unless_all([firing.trust.value for firing in firings], Trust.SYSTEM.value),
        "invocation_ids": uuid_array([window.id for window in windows]),
        "root_ids": unless_all([firing.root_id for firing in firings], None),
        "depths": unless_all([firing.depth for firing in firings], 0),
    }
    try:
        with conn.begin_nested():
            conn.execute(INSERT_FIRINGS, values)
    except IntegrityError as error:
        if "uq_firings_occurrence" not in str(error.orig):
            raise
        conn.execute(INSERT_NEW_FIRINGS, values)
        return _take_back_duplicates(conn, firings, windows)
    return {}


def _take_back_duplicates(
    conn: Connection, firings: Sequence[NewFiring], windows: Sequence[Window]
) -> dict[UUID, UUID]:
    """Rare: an occurrence was recorded before. Its window was counted up for nothing, perhaps even opened."""
    found = conn.execute(
        FIND_RECORDED,
        {
            "ids": uuid_array(firing.id for firing in firings),
            "trigger_ids": uuid_array(firing.trigger.id for firing in firings),
            "keys": [firing.occurrence_key for firing in firings],
        },
    ).all()
    duplicates = {row[0]: row[1] for row in found}
    surplus = Counter(
        window.id for firing, window in zip(firings, windows, strict=True) if firing.id in duplicates
    )
    conn.execute(SHRINK_WINDOWS, {"ids": list(surplus), "surpluses": list(surplus.values())})
    conn.execute(DROP_EMPTY_WINDOWS, {"ids": list(surplus)})
    return duplicates


def _count_triggers(
    conn: Connection, inserted: Sequence[tuple[NewFiring, Window]], now: datetime
) -> frozenset[UUID]:
    """Count the inserted firings on their triggers; returns those that may fire no more."""
    if not inserted:
        return frozenset()
    counts = Counter(firing.trigger.id for firing, _ in inserted)
    last = {firing.trigger.id: (firing.trigger, window) for firing, window in inserted}
    spent = [
        trigger.max_fires is not None and trigger.fire_count + counts[trigger.id] >= trigger.max_fires
        for trigger, _ in last.values()
    ]
    conn.execute(
        COUNT_TRIGGERS,
        {
            "now": now,
            "ids": uuid_array(last),
            "fires": array(counts[trigger_id] for trigger_id in last),
            "wakes": time_array(window.due_at or now for _, window in last.values()),
            "exhausted": array(spent),
        },
    )
    exhausted = [trigger for is_spent, (trigger, _) in zip(spent, last.values(), strict=True) if is_spent]
    record_events(conn, [_exhausted_event(trigger) for trigger in exhausted])
    return frozenset(trigger.id for trigger in exhausted)


def _exhausted_event(trigger: LockedTrigger) -> Event:
    return Event("trigger.finished", trigger.tenant_id, trigger.id, trigger.agent_id, detail={"why": "max_fires"})
