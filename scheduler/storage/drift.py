"""Finds triggers that disagree with their jobs. Both change in one transaction, so there should be none."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.rows import rows_as
from scheduler.storage.triggers import TRIGGER_ZONE
from scheduler.triggers.registry import TIMED

BATCH = 1000
"""The most triggers found at a time."""

# A single statement sees one snapshot: a concurrent pass or edit is either fully visible or not at all.
DRIFTED = text(f"""
    SELECT t.id AS trigger_id, t.tenant_id, t.agent_id, a.name || '/' || t.name AS name, CASE
        WHEN t.deleted_at IS NOT NULL THEN 'job without its trigger'
        WHEN t.zone <> {TRIGGER_ZONE} THEN 'job in an old zone'
        WHEN t.is_enabled AND t.type = ANY(:timed) AND f.next_run_time IS NULL THEN 'trigger without its job'
        WHEN NOT t.is_enabled AND f.next_run_time IS NOT NULL THEN 'job of a paused trigger'
        ELSE 'expiry that differs' END AS why
    FROM triggers t JOIN agents a ON a.id = t.agent_id JOIN tenants n ON n.id = t.tenant_id
        LEFT JOIN jobs f ON f.trigger_id = t.id AND f.kind = 'fire'
        LEFT JOIN jobs e ON e.trigger_id = t.id AND e.kind = 'expiry'
    WHERE CASE WHEN t.deleted_at IS NOT NULL THEN f.trigger_id IS NOT NULL OR e.trigger_id IS NOT NULL
        ELSE t.zone <> {TRIGGER_ZONE}
            OR (t.is_enabled AND t.type = ANY(:timed) AND f.next_run_time IS NULL)
            OR (NOT t.is_enabled AND f.next_run_time IS NOT NULL)
            OR (t.is_enabled AND e.next_run_time IS DISTINCT FROM t.expires_at) END
    ORDER BY t.id LIMIT :limit
""")  # noqa: S608  # our own constant


@dataclass(frozen=True)
class Drift:
    """A trigger that disagreed with its jobs, and how."""

    trigger_id: UUID
    tenant_id: UUID
    agent_id: UUID
    name: str
    why: str


def find_drift(conn: Connection, limit: int = BATCH) -> list[Drift]:
    """Finds the triggers that disagree with their jobs now."""
    return rows_as(Drift, conn.execute(DRIFTED, {"timed": sorted(TIMED), "limit": limit}))
