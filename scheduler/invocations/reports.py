"""Tracks whether agents that answer 202 really report later, or always answer 202."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.run import Failed, Outcome, Replied

OVERDUE = Failed("The agent accepted the work but did not report in time.", reason="deadline")
NEVER_REPORTS = Replied("", reason="no_report")
"""For an agent that has the work, where another attempt would make it do the work again."""

# SKIP LOCKED: a transaction that holds the agent's row may want the invocation that this one holds. A later report
# sets it then.
REMEMBER = text("""
    UPDATE agents SET reported_at = clock_timestamp() WHERE id IN (
        SELECT a.id FROM agents a JOIN invocations i ON i.agent_id = a.id
        WHERE i.id = :id AND a.reported_at IS NULL FOR NO KEY UPDATE OF a SKIP LOCKED
    )
""")

REPORTS = text("""
    SELECT coalesce(a.runtime ->> 'accepted', CASE WHEN a.reported_at IS NOT NULL THEN 'awaits' END) = 'awaits'
    FROM invocations i JOIN agents a ON a.id = i.agent_id WHERE i.id = :id
""")


def remember_report(conn: Connection, invocation_id: UUID) -> None:
    """Remembers that the invocation's agent reports its results."""
    conn.execute(REMEMBER, {"id": invocation_id})


def end_without_report(conn: Connection, invocation_id: UUID) -> Outcome:
    """Returns what a missing report means: a failure for an agent that reports, else the end of its work."""
    return OVERDUE if conn.scalar(REPORTS, {"id": invocation_id}) else NEVER_REPORTS
