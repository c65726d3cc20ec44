"""Decides the due slots of a time trigger, for the scheduler's pass and for changes alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from scheduler.domain.misfire import Schedule, Slots, plan
from scheduler.domain.model import MisfirePolicy
from scheduler.firings.new_firing import LockedTrigger, NewFiring
from scheduler.storage.audit import Event
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.jitter import JitteredSchedule, slot_that_fires_at
from scheduler.triggers.registry import kind_of

# A dict lookup costs a fifth of the enum's own call, and a pass makes thousands.
_POLICIES = {policy.value: policy for policy in MisfirePolicy}
_NO_GRACE = timedelta(-1)


class Definition(NamedTuple):
    """The stored fields that determine a trigger's slots; `config` is JSON."""

    config: str
    zone: str
    anchor: datetime
    misfire_policy: str
    grace_seconds: float


class SlotDecision(NamedTuple):
    """The decision for the due slots."""

    firings: Sequence[NewFiring]
    next_run_time: datetime | None
    """When the first slot after them fires; None: there is none."""
    skipped: Slots | None = None
    is_check: bool = False
    """Whether the kind only checks if there is something to fire."""


def decide_due(trigger: LockedTrigger, definition: Definition, run_time: datetime) -> SlotDecision:
    """Applies the misfire policy to the slot that fires at `run_time`, which has passed, and to all later past
    slots.

    Slots are identified by their nominal times, independent of jitter. Passes on any exception of the kind.
    """
    schedule = _schedule(trigger, definition)
    policy, grace = _POLICIES[definition.misfire_policy], _seconds(definition.grace_seconds)
    decided = plan(schedule, run_time, trigger.read_at, policy, grace)
    if kind_of(trigger.type).checked_by:
        return SlotDecision((), decided.next_run_time, is_check=True)
    ranges, skipped = decided.firings, decided.skipped
    if trigger.max_fires is not None and len(ranges) > (left := max(trigger.max_fires - trigger.fire_count, 0)):
        older, ranges = ranges[: len(ranges) - left], ranges[len(ranges) - left :]
        skipped = _joined(older)
    firings = [_slot_firing(trigger, schedule, slots) for slots in ranges]
    skipped = skipped and _nominal(schedule, skipped)
    return SlotDecision(firings, decided.next_run_time, skipped)


def first_slot_after(trigger: LockedTrigger, definition: Definition, moment: datetime) -> datetime | None:
    """Returns when the first slot after `moment` fires."""
    return _schedule(trigger, definition).next_after(moment)


def slots_before(
    trigger: LockedTrigger, definition: Definition, run_time: datetime, moment: datetime
) -> Slots | None:
    """Returns the slots from the one that fires at `run_time` until `moment` that will no longer fire."""
    if run_time > moment or kind_of(trigger.type).checked_by:
        return None
    schedule = _schedule(trigger, definition)
    skipped = plan(schedule, run_time, moment, MisfirePolicy.SKIP, _NO_GRACE).skipped
    return skipped and _nominal(schedule, skipped)


def skipped_event(
    trigger: LockedTrigger, skipped: Slots, *, actor: str = "system", why: str | None = None
) -> Event:
    """Creates the audit event for slots that passed without a firing; `why`, unless the policy is the reason."""
    detail: dict[str, object] = {
        "first": skipped.first.isoformat(),
        "last": skipped.last.isoformat(),
        "count": skipped.count,
        "exact": skipped.exact,
    }
    if why is not None:
        detail["why"] = why
    return Event("trigger.skipped", trigger.tenant_id, trigger.id, trigger.agent_id, actor, detail)


def _schedule(trigger: LockedTrigger, definition: Definition) -> Schedule:
    config = _config(trigger.type, definition.config)
    schedule = config.schedule(definition.zone, definition.anchor, trigger.id)
    if schedule is None:
        raise ValueError(f"a {trigger.type} trigger has no native job")
    return schedule


@lru_cache(maxsize=64)
def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@lru_cache(maxsize=4096)
def _config(kind_name: str, config: str) -> TriggerConfig:
    """Parses a stored config, cached: many triggers share one, and thousands may be due in the same pass."""
    return kind_of(kind_name).model_construct(**json.loads(config))


def _joined(ranges: Sequence[Slots]) -> Slots:
    counts, exact = sum(slots.count for slots in ranges), all(slots.exact for slots in ranges)
    return Slots(ranges[0].first, ranges[-1].last, counts, exact)


def _nominal(schedule: Schedule, slots: Slots) -> Slots:
    if not isinstance(schedule, JitteredSchedule):
        return slots
    first, last = (slot_that_fires_at(schedule, each) for each in slots[:2])
    return slots._replace(first=first, last=last)


def _slot_firing(trigger: LockedTrigger, schedule: Schedule, slots: Slots) -> NewFiring:
    nominal = _nominal(schedule, slots)
    return NewFiring(
        trigger,
        slot_key(nominal.last),
        first_scheduled_for=nominal.first,
        scheduled_for=nominal.last,
        due_at=None if nominal is slots else slots.last,
        slot_count=nominal.count,
        slots_exact=nominal.exact,
    )


@lru_cache(maxsize=64)
def slot_key(slot: datetime) -> str:
    """Returns the occurrence key of a time firing: its newest slot, which no other firing covers."""
    return f"slot:{slot.astimezone(UTC).isoformat()}"
