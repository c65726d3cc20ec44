"""The injected clock: the only place that reads the process's time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The interface for code that needs the time."""

    def now(self) -> datetime:
        """Returns the current time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Returns seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The process's own clock. What is *due* is decided by the database's clock, never by this one."""

    def now(self) -> datetime:
        """Returns the current time, aware, UTC."""
        return datetime.now(UTC)  # noqa: TID251  # the one place

    def monotonic(self) -> float:
        """Returns seconds on a clock that never goes back."""
        return time.monotonic()
