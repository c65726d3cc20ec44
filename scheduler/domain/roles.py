"""The roles of worker processes. Any number of processes may have each role."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The role of a worker process."""

    SCHEDULER = "scheduler"
    """Records due firings, closes windows, runs housekeeping."""
    INVOKER = "invoker"
    """Wakes agents, checks polls, sends notifications."""
    ALL = "all"

    @property
    def schedules(self) -> bool:
        """Whether it runs a scheduler."""
        return self is not Role.INVOKER

    @property
    def invokes(self) -> bool:
        """Whether it takes jobs from the queue."""
        return self is not Role.SCHEDULER


class Jobs(StrEnum):
    """The jobs that a process which wakes agents takes from the queue."""

    ANY = "any"
    SMALL = "small"
    """Those of tenants with few: it only wakes agents."""
    LARGE = "large"
    """The others, also polls and notifications."""
