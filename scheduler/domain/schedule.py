"""The slots of a time trigger, as its kind gives them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

COUNTED_SLOTS = 100
"""How many missed cron slots are counted exactly; beyond that it is "100+"."""
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
