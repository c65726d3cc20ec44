"""Reads the agents of a chain of wakes from what their running invocations carry."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text

# From the agent that runs now, back to the one that woke it, and so on to the root. Each look is by an index; only an
# agent's newest invocations are looked through, for a chain takes minutes.
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
