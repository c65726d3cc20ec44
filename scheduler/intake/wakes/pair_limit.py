"""Limits how often one agent may wake another."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.lineage import pair_wait
from scheduler.intake.wakes.statements import Pair, count_wakes, read_pairs


class PairLimit:
    """The pairs of one transaction. What joins an open window wakes nobody once more: it is free.

    Exact where the pairs are locked (`lock_pairs`); without it, two at once may both be the last allowed.
    """

    def __init__(self, conn: Connection, pairs: Collection[Pair], now: datetime) -> None:
        self._conn = conn
        self._now = now
        self._states = read_pairs(conn, pairs) if pairs else {}
        self._with_window = {pair.agent_id for pair, state in self._states.items() if state.has_window}
        self._made: list[tuple[UUID, Pair]] = []

    def admit(self, pair: Pair, firing_id: UUID) -> timedelta | None:
        """Let the firing wake, and count that; or how long the pair must wait instead."""
        if pair.agent_id in self._with_window:
            return None
        wait = pair_wait(self._states[pair].wakes, self._now)
        if wait is None:
            self._made.append((firing_id, pair))
            self._with_window.add(pair.agent_id)
        return wait

    def write(self) -> None:
        """Store what was counted."""
        if self._made:
            count_wakes(self._conn, self._made)
