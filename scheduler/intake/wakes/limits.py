"""Limits how often one agent may wake another, and reads the chain of agents that a refusal names."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.lineage import pair_wait
from scheduler.intake.wakes.statements import Pair, count_wakes, read_pairs

# From the running agent back to the one that woke it, and so on to the root. Each lookup uses an index. Only an
# agent's newest invocations are searched, as a chain takes minutes.
CHAIN = text("""
    WITH RECURSIVE chain AS (
        SELECT CAST(:agent_id AS uuid) AS agent_id, clock_timestamp() AS at, 0 AS step
        UNION ALL
        SELECT earlier.agent_id, earlier.at, chain.step + 1
        FROM chain CROSS JOIN LATERAL (
            SELECT CAST(f.data #>> '{messages,0,from,id}' AS uuid) AS agent_id, f.fired_at AS at
            FROM (
                SELECT * FROM invocations WHERE agent_id = chain.agent_id ORDER BY id DESC LIMIT 50
            ) i JOIN firings f ON f.invocation_id = i.id
            WHERE i.started_at <= chain.at AND (i.finished_at IS NULL OR i.finished_at >= chain.at)
                AND f.root_id = :root_id
                AND f.data #>> '{messages,0,from,type}' = 'agent'
            ORDER BY i.id DESC, f.depth DESC, f.id LIMIT 1
        ) earlier
        WHERE chain.step < :longest
    )
    SELECT a.name FROM chain JOIN agents a ON a.id = chain.agent_id ORDER BY chain.step DESC
""")


def chain_of(conn: Connection, agent_id: UUID, root_id: UUID | None, longest: int) -> list[str]:
    """The names of up to `longest` agents that led to what `agent_id` does now, oldest first, and its own."""
    return list(
        conn.scalars(CHAIN, {"agent_id": agent_id, "root_id": root_id, "longest": longest}),
    )


def name_of(conn: Connection, agent_id: UUID) -> str:
    """An agent's name."""
    return str(conn.scalar(text("SELECT name FROM agents WHERE id = :id"), {"id": agent_id}))


class PairLimit:
    """The pairs of agents in one transaction. Joining an open window does not wake again, so it is not counted.

    Exact when the pairs are locked (`lock_pairs`); otherwise two concurrent wakes may both be the last allowed
    one.
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
