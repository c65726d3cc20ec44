"""Settles due slots when their trigger is changed or stopped, and finds the next slot.

A slot that was due before a change is decided with the change, as a scheduler's pass would have: fired, counted or
skipped by the misfire policy, in the change's own transaction and with an audit event. The new settings apply
afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection, text

from scheduler.domain.errors import InvalidField, stops_process
from scheduler.domain.schedule import Schedule, Slots
from scheduler.firings.new_firing import LockedTrigger, NewFiring, gate, lock_triggers
from scheduler.firings.record import record_firings
from scheduler.firings.slots import Definition, SlotDecision, decide_due, skipped_event, slots_before
from scheduler.intake.checks import run_checks
from scheduler.manage.triggers import rows
from scheduler.manage.triggers.spec import StoredTrigger, TriggerWithLimits
from scheduler.storage.arrays import array, time_array
from scheduler.storage.audit import SYSTEM, Event, record_events
from scheduler.storage.faults import first_line
from scheduler.triggers.base import TriggerConfig, faults_of, first_slot
from scheduler.triggers.jitter import fires_at, slot_that_fires_at
from scheduler.triggers.registry import KINDS, kind_of

ADVANCE = text("""
    UPDATE jobs j SET next_run_time = v.next_run_time
    FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[])) AS v(trigger_id, next_run_time)
    WHERE j.trigger_id = v.trigger_id AND j.kind = 'fire'
""")


def lock_settled(
    conn: Connection,
    tenant_id: UUID,
    trigger_id: UUID,
    *,
    because: str,
    actor: str = SYSTEM,
    by_agent: bool = False,
    last_look: bool = False,
    pauses: bool = False,
) -> TriggerWithLimits:
    """Locks a trigger as `rows.lock_trigger` does, settles its due slots, and returns the row afterwards.

    `because`: the change, such as `updated`. `last_look`: the change alters or ends what it listens for. `pauses`:
    it is about to be paused; a once's slot is left for the resume. Raises NotFound, and Forbidden for its agent.
    """
    row = rows.lock_trigger(conn, tenant_id, trigger_id, by_agent=by_agent)
    if last_look:
        fire_unseen(conn, [row])
        row = rows.lock_trigger(conn, tenant_id, trigger_id)
    while _is_due(row) and not (pauses and _comes_again(row)):
        settle(conn, [row], because=because, actor=actor)
        row = rows.lock_trigger(conn, tenant_id, trigger_id)
    return row


def settle(conn: Connection, locked: Sequence[StoredTrigger], *, because: str, actor: str = SYSTEM) -> list[UUID]:
    """Decides the due slots of triggers that are locked with their jobs; returns those that had any.

    Triggers stay enabled, even without a slot or firing left: the change itself decides about that.
    """
    due = {row.id: row for row in locked if _is_due(row)}
    if not due:
        return []
    firings: list[NewFiring] = []
    times: list[datetime | None] = []
    events: list[Event] = []
    triggers = {
        # The limit decides how many fire, not whether the trigger ends.
        trigger.id: trigger._replace(read_at=due[trigger.id].now)
        for trigger in lock_triggers(conn, list(due)).values()
    }
    for trigger in triggers.values():
        decided, why = _decide(trigger, due[trigger.id])
        for firing in decided.firings:
            firing.trigger = trigger._replace(max_fires=None)
        firings += decided.firings
        times.append(decided.next_run_time)
        events += _events(trigger, decided, because, actor, why)
    record_firings(conn, firings)
    conn.execute(ADVANCE, {"ids": array(triggers), "times": time_array(times)})
    record_events(conn, events)
    return list(triggers)


def skip_due(conn: Connection, locked: Sequence[StoredTrigger], *, why: str, actor: str) -> None:
    """Audits the due slots of triggers whose agent is deleted as skipped."""
    due = {row.id: row for row in locked if _is_due(row)}
    events: list[Event] = []
    for trigger in lock_triggers(conn, list(due)).values() if due else ():
        row = due[trigger.id]
        skipped = _whole(trigger, row, row.now)
        if skipped is not None:
            events.append(skipped_event(trigger, skipped, actor=actor, why=why))
    record_events(conn, events)


def _is_due(row: StoredTrigger) -> bool:
    kind = KINDS.get(row.type)
    is_check = kind is not None and kind.checked_by is not None
    return bool(row.is_enabled and row.next_run_time is not None and row.next_run_time <= row.now and not is_check)


def _comes_again(row: StoredTrigger) -> bool:
    """Whether a due slot will still fire after a pause."""
    schedule = stored_schedule(row)
    if schedule is None:
        return False
    try:
        with faults_of(row.type):
            first = kind_of(row.type).model_construct(**row.config).first_run(schedule, row.now)
            return first is not None and first <= row.now
    except InvalidField:
        return False


def _decide(trigger: LockedTrigger, row: StoredTrigger) -> tuple[SlotDecision, str | None]:
    """Decides as a pass would now, and tells why nothing fires if not because of the policy."""
    try:
        if gate(trigger, trigger.read_at) == "expired" and trigger.expires_at is not None:
            missed = slots_before(trigger, _definition(row), _due_slot(row), trigger.expires_at)
            schedule = stored_schedule(row)
            return SlotDecision((), None if schedule is None else schedule.next_after(row.now), missed), "expired"
        return decide_due(trigger, _definition(row), _due_slot(row)), None
    except BaseException as error:  # an unreadable trigger can still be changed or stopped
        if stops_process(error):
            raise
        logger.warning("The due slots of trigger {} cannot be decided: {!r}", row.id, first_line(error))
        return SlotDecision((), None, Slots(_due_slot(row), _due_slot(row), 1, False)), type(error).__name__


def _whole(trigger: LockedTrigger, row: StoredTrigger, moment: datetime) -> Slots | None:
    try:
        with faults_of(row.type):
            return slots_before(trigger, _definition(row), _due_slot(row), moment)
    except InvalidField:
        return Slots(_due_slot(row), _due_slot(row), 1, False)


def _due_slot(row: StoredTrigger) -> datetime:
    if row.next_run_time is None:
        raise ValueError("no slot of the trigger is due")
    return row.next_run_time


def _definition(row: StoredTrigger) -> Definition:
    return Definition(json.dumps(row.config), row.zone, row.anchor_at, row.misfire_policy, row.grace_seconds)


def _events(
    trigger: LockedTrigger, decided: SlotDecision, because: str, actor: str, why: str | None
) -> list[Event]:
    events: list[Event] = []
    if decided.skipped is not None:
        events.append(skipped_event(trigger, decided.skipped, actor=actor, why=why))
    if decided.firings:
        first, last = decided.firings[0].first_scheduled_for, decided.firings[-1].scheduled_for
        detail = {
            "because": because,
            "first": first and first.isoformat(),
            "last": last and last.isoformat(),
            "count": sum(firing.slot_count for firing in decided.firings),
            "exact": all(firing.slots_exact for firing in decided.firings),
            "firings": len(decided.firings),
        }
        events.append(Event("trigger.settled", trigger.tenant_id, trigger.id, trigger.agent_id, actor, detail))
    return events


def fire_unseen(conn: Connection, locked: Sequence[StoredTrigger]) -> None:
    """Fires listening triggers that are about to stop or change for what they have not seen yet."""
    ids = [row.id for row in locked if row.is_enabled and _forgets(row.type)]
    triggers = (
        [each for each in lock_triggers(conn, ids).values() if gate(each, each.read_at) is None] if ids else []
    )
    if triggers:
        record_firings(conn, run_checks(conn, triggers).firings)


def _forgets(kind_name: str) -> bool:
    kind = KINDS.get(kind_name)
    return kind is not None and kind.forgets_while_paused and kind.checked_by is not None


class Upcoming(NamedTuple):
    """What a changed trigger fires next."""

    run_time: datetime | None
    dropped: datetime | None = None
    """A due slot that jitter had delayed and that the change dropped."""


def upcoming(row: StoredTrigger, config: TriggerConfig, zone: str, anchor: datetime) -> Upcoming:
    """Finds when a trigger, locked and settled as `row`, fires next with another config, zone or anchor.

    Slots are identified by their nominal times: a decided one does not fire again with more jitter, and a waiting
    one is not lost with less.
    """
    schedule = config.schedule(zone, anchor, row.id)
    first = None if schedule is None else first_slot(config, schedule, row.now)
    old = None if config.checked_by else stored_schedule(row)
    if schedule is None or old is None:
        return Upcoming(first)
    waiting = None if row.next_run_time is None else slot_that_fires_at(old, row.next_run_time)
    while first is not None and _was_decided(row, old, waiting, slot_that_fires_at(schedule, first)):
        first = schedule.next_after(first)
    if waiting is None or waiting > row.now:
        return Upcoming(first)
    kept = fires_at(schedule, waiting)
    return Upcoming(first, waiting) if kept is None else Upcoming(min(kept, first or kept))


def dropped_event(row: StoredTrigger, dropped: datetime, actor: str) -> Event:
    """Creates the audit event for a slot that jitter had delayed and that a change dropped."""
    at = dropped.isoformat()
    detail = {"first": at, "last": at, "count": 1, "exact": True, "why": "changed"}
    return Event("trigger.skipped", row.tenant_id, row.id, row.agent_id, actor, detail)


def stored_schedule(row: StoredTrigger) -> Schedule | None:
    """Returns the schedule of a stored trigger; None for a kind without one or an unreadable one."""
    try:
        with faults_of(row.type):
            return kind_of(row.type).model_construct(**row.config).schedule(row.zone, row.anchor_at, row.id)
    except InvalidField:
        return None


def _was_decided(row: StoredTrigger, old: Schedule, waiting: datetime | None, slot: datetime) -> bool:
    if slot > row.now or fires_at(old, slot) is None:
        return False
    if waiting is not None:
        return slot < waiting
    # An enabled trigger that waits for nothing has just had its last slot settled, whether it fired or was
    # skipped.
    return row.is_enabled or (row.last_fired_at is not None and row.last_fired_at >= slot)
