"""Budgets: what an agent or a tenant may spend in a period, and what follows from what was spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NEARLY = 0.8
"""The share of a budget from which on its agents' windows are widened."""
WIDENED = timedelta(minutes=5)
"""How long a window then stays open at least."""
WIDENED_NOTE = "A budget is nearly spent: the window stays open for at least five minutes."
HOUR = timedelta(hours=1)
DEFAULT_TOKENS_PER_DAY = 1_000_000
DEFAULT_INVOCATIONS_PER_HOUR = 600
"""Of a new agent that asks for no other: enough for work, and an end to what runs away in the night. Null lifts it."""


class Budget(StrEnum):
    """What is limited. A day is one of the owner's zone; an hour is the one up to now."""

    TOKENS = "tokens_per_day"
    INVOCATIONS = "invocations_per_hour"


class Owner(StrEnum):
    """Whose budget it is: one agent's, or that of all agents of a tenant together."""

    AGENT = "agent"
    TENANT = "tenant"


@dataclass(slots=True)
class Spending:
    """One budget of one owner, and what was spent of it; `limit` None is no limit.

    `frees_at`: when, if it is spent, it has room again: the next midnight, or an hour after the invocation that
    has to leave the hour first.
    """

    owner: Owner
    owner_id: UUID
    budget: Budget
    limit: int | None
    used: int
    frees_at: datetime

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.limit is not None and self.used >= self.limit

    @property
    def is_nearly_spent(self) -> bool:
        """Whether four fifths are gone, but not all."""
        return self.limit is not None and NEARLY * self.limit <= self.used < self.limit

    def note(self, zone: str) -> str:
        """Why a window is held and until when, in the local time of `zone`, for people."""
        until = self.frees_at.astimezone(_zone(zone)).isoformat(timespec="seconds")
        return (
            f"The {self.owner}'s {self.budget} are spent ({self.used:,} of {self.limit:,}). "
            f"Firings are recorded and delivered together from {until} on."
        )


def day_in(zone: str, now: datetime) -> tuple[date, datetime]:
    """The day that it is in `zone`, and the instant at which it ends there.

    Where clocks skip midnight, that is the first moment of the new day (PEP 495, fold 0).
    """
    local = _zone(zone)
    today = now.astimezone(local).date()
    return today, datetime.combine(today + timedelta(days=1), time.min, local).astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    """UTC for a name that this machine does not know (any more): a budget must not stop what it limits."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
