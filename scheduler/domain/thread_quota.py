"""Limits the threads used by slow work: few for each tenant, and some always left for webhooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from uuid import UUID

from scheduler.domain.errors import LimitReached

OF_A_TENANT = 2
OF_ALL = 12
RETRY_SECONDS = 10


class ThreadQuota:
    """Allows OF_A_TENANT concurrent uses per tenant and OF_ALL in total. Thread-safe."""

    def __init__(self, what: str) -> None:
        """`what` describes the work, such as "polls are being tried"."""
        self._what = what
        self._lock = Lock()
        self._taken: Counter[UUID] = Counter()

    @contextmanager
    def take(self, tenant_id: UUID) -> Iterator[None]:
        """Takes a place for the duration of the block. Raises LimitReached when none is free."""
        with self._lock:
            if self._taken[tenant_id] >= OF_A_TENANT:
                raise LimitReached(
                    f"{OF_A_TENANT} {self._what} for this tenant already; try again in a moment.",
                    retry_after=RETRY_SECONDS,
                )
            if self._taken.total() >= OF_ALL:
                raise LimitReached(f"Too many {self._what}; try again in a moment.", retry_after=RETRY_SECONDS)
            self._taken[tenant_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= Counter({tenant_id: 1})  # removes tenants at zero
