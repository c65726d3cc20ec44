"""Agents that answer 202: whether they really report later, or say 202 by habit."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.run import Failed, Outcome, Replied

OVERDUE = Failed("The agent accepted the work but did not report in time.", reason="deadline")
NEVER_REPORTS = Replied("", reason="no_report")
"""Such an agent has the work, and another try would make it do that once more."""

# Never waits: whoever has the agent's row locked may want the invocation that this transaction holds. A later report
# remembers it then.
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
    """Remember that the invocation's agent reports by itself."""
    conn.execute(REMEMBER, {"id": invocation_id})


def end_without_report(conn: Connection, invocation_id: UUID) -> Outcome:
    """What it means that no report came in time: a failure of an agent that sends them, else the end of its work."""
    return OVERDUE if conn.scalar(REPORTS, {"id": invocation_id}) else NEVER_REPORTS
