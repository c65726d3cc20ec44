"""What a worker process does: each role any number of times."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The role of a worker process."""

    SCHEDULER = "scheduler"
    """Records what is due, closes windows, keeps house."""
    INVOKER = "invoker"
    """Wakes agents, looks at polls, sends notifications."""
    ALL = "all"

    @property
    def schedules(self) -> bool:
        """Whether it runs a scheduler."""
        return self is not Role.INVOKER

    @property
    def invokes(self) -> bool:
        """Whether it takes jobs from the queue."""
        return self is not Role.SCHEDULER
