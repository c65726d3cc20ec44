"""The injected clock: the one place that may ask the process for the time of day."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What code that needs the time is given."""

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The process's own clock. What is *due* is decided by the database's clock, never by this one."""

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        return datetime.now(UTC)  # noqa: TID251  # the one place

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()
