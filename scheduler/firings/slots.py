"""Decides the due slots of a time trigger by its misfire policy, for the scheduler's pass and for changes alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from scheduler.domain.model import MisfirePolicy
from scheduler.domain.schedule import COUNTED_SLOTS, TICK, Schedule, Slots
from scheduler.firings.new_firing import LockedTrigger, NewFiring
from scheduler.storage.audit import Event
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.jitter import JitteredSchedule, slot_that_fires_at
from scheduler.triggers.registry import kind_of

ALL_LIMIT = 100
"""The most late firings that policy `all` makes at once; older slots are included in the first of them."""
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


class Plan(NamedTuple):
    """The firings of a due slot, the slots skipped by policy `skip`, and the job's next run."""

    firings: Sequence[Slots]
    next_run_time: datetime | None
    skipped: Slots | None = None


def plan(schedule: Schedule, slot: datetime, now: datetime, policy: MisfirePolicy, grace: timedelta) -> Plan:
    """Plans the stored `slot`, due at or before `now`, and every later slot up to `now`.

    Each slot is in exactly one firing's range or in `skipped`. Catching up jumps ahead: it never enumerates more
    than COUNTED_SLOTS or ALL_LIMIT slots.
    """
    after = schedule.next_after(slot)
    if after is None or after > now:
        only = Slots(slot, slot)
        if policy is MisfirePolicy.SKIP and now - slot > grace:
            return Plan((), after, skipped=only)
        return Plan((only,), after)
    latest = max(schedule.last_until(now) or slot, slot)
    following = schedule.next_after(latest)
    if policy is MisfirePolicy.ALL:
        return Plan(_newest(schedule, slot, latest), following)
    if policy is MisfirePolicy.SKIP:
        return _skip(schedule, slot, latest, now - grace, following)
    return Plan((_range(schedule, slot, latest),), following)


def _range(schedule: Schedule, first: datetime, last: datetime) -> Slots:
    count, exact = schedule.count_between(first, last, COUNTED_SLOTS)
    return Slots(first, last, max(count, 1), exact)


def _newest(schedule: Schedule, slot: datetime, latest: datetime) -> list[Slots]:
    """Makes one firing for each of the newest slots; the oldest of them also covers all earlier slots."""
    newest = [latest]
    while len(newest) < ALL_LIMIT and newest[-1] > slot:
        earlier = schedule.last_until(newest[-1] - TICK)
        if earlier is None or earlier < slot:
            break
        newest.append(earlier)
    newest.reverse()
    return [_range(schedule, slot, newest[0]), *(Slots(each, each) for each in newest[1:])]


def _skip(
    schedule: Schedule, slot: datetime, latest: datetime, oldest_in_grace: datetime, following: datetime | None
) -> Plan:
    """Fires the newest slot if it is within the grace period; skips older ones."""
    if latest < oldest_in_grace:
        return Plan((), following, skipped=_range(schedule, slot, latest))
    before = schedule.last_until(latest - TICK)
    older = _range(schedule, slot, before) if before is not None and before >= slot else None
    return Plan((Slots(latest, latest),), following, skipped=older)
