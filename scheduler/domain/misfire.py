"""Applies the misfire policy to a due slot and the slots missed since. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from scheduler.domain.model import MisfirePolicy

COUNTED_SLOTS = 100
"""How many missed cron slots are counted exactly; beyond that it is "100+"."""
ALL_LIMIT = 100
"""The most late firings that policy `all` makes at once; older slots are included in the first of them."""
TICK = timedelta(microseconds=1)


class Schedule(Protocol):
    """The slots of a time trigger. All times are aware, UTC."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Returns the first slot after `moment`; None when there is none."""
        ...

    def last_until(self, moment: datetime) -> datetime | None:
        """Returns the last slot at or before `moment`."""
        ...

    def count_between(self, first: datetime, last: datetime, limit: int) -> tuple[int, bool]:
        """Counts the slots in [first, last], and tells whether that is exact; counting may stop at `limit`."""
        ...


class Slots(NamedTuple):
    """The range of slots that one firing covers."""

    first: datetime
    last: datetime
    count: int = 1  # type: ignore[assignment]  # a tuple's own `count` is not used
    exact: bool = True


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
