"""Budgets: what an agent or a tenant may spend in a period, and the consequences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NEARLY = 0.8
"""The share of a budget from which its agents' windows are widened."""
WIDENED = timedelta(minutes=5)
"""The minimum length of a widened window."""
WIDENED_NOTE = "A budget is nearly spent: the window stays open for at least five minutes."
HOUR = timedelta(hours=1)
DEFAULT_TOKENS_PER_DAY = 1_000_000
DEFAULT_INVOCATIONS_PER_HOUR = 600
"""The default for a new agent: enough for normal work, and a stop to runaway agents. Null removes the limit."""


class Budget(StrEnum):
    """What is limited. A day is a calendar day in the owner's zone; an hour is the last 60 minutes."""

    TOKENS = "tokens_per_day"
    INVOCATIONS = "invocations_per_hour"


class Owner(StrEnum):
    """Whose budget it is: a single agent's, or a tenant's for all its agents together."""

    AGENT = "agent"
    TENANT = "tenant"


@dataclass(slots=True)
class Spending:
    """One budget of one owner and how much of it is spent. `limit` None means no limit.

    `frees_at`: when a spent budget has room again: the next midnight, or when the oldest counted invocation is an
    hour old.
    """

    owner: Owner
    owner_id: UUID
    budget: Budget
    limit: int | None
    used: int
    frees_at: datetime

    @property
    def is_spent(self) -> bool:
        """Whether the budget is fully spent."""
        return self.limit is not None and self.used >= self.limit

    @property
    def is_nearly_spent(self) -> bool:
        """Whether at least four fifths, but not all, is spent."""
        return self.limit is not None and NEARLY * self.limit <= self.used < self.limit

    def note(self, zone: str) -> str:
        """Explains why a window is held and until when, in the local time of `zone`."""
        until = self.frees_at.astimezone(_zone(zone)).isoformat(timespec="seconds")
        return (
            f"The {self.owner}'s {self.budget} are spent ({self.used:,} of {self.limit:,}). "
            f"Firings are recorded and delivered together from {until} on."
        )


def freed_last(spendings: Iterable[Spending]) -> Spending | None:
    """Returns the spent budget that frees up last, which holds a window; None when none is spent."""
    return max((each for each in spendings if each.is_spent), key=lambda each: each.frees_at, default=None)


def is_in_no_hurry(spendings: Iterable[Spending]) -> bool:
    """Whether a budget is nearly spent, so that the windows of non-urgent firings are extended."""
    return any(each.is_nearly_spent for each in spendings)


def day_in(zone: str, now: datetime) -> tuple[date, datetime]:
    """Returns the current day in `zone` and the time at which it ends.

    Where the clocks skip midnight, that is the first moment of the new day (PEP 495, fold 0).
    """
    local = _zone(zone)
    today = now.astimezone(local).date()
    return today, datetime.combine(today + timedelta(days=1), time.min, local).astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    """Returns the zone, or UTC for an unknown name: a budget must not break what it limits."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
