"""Finds and removes expired history in small batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from scheduler.domain.retention import IDS_KEPT_DAYS, History
from scheduler.triggers.registry import ADDRESSED

BATCH = 500
"""The most rows that one transaction removes, which takes a few milliseconds."""
ENDED = "r.state IN ('succeeded', 'dead', 'skipped', 'cancelled')"
DELIVERED = "r.state <> 'pending' AND NOT (r.state = 'delivered' AND r.ack IS NOT DISTINCT FROM 'deferred')"
"""A deferred firing comes back as pending, however long after its time: nothing may run, or all be paused, then."""
TO_BE_SENT = """
    (SELECT n.{column} FROM notification_deliveries d JOIN notifications n ON n.id = d.notification_id
     WHERE d.state = 'pending' AND n.{column} IS NOT NULL)
"""
SPENT = f"clock_timestamp() - interval '{IDS_KEPT_DAYS} days'"


_ADDRESSED = ", ".join(f"'{name}'" for name in ADDRESSED)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where a kind of history is stored, and what is removed with it."""

    table: str
    time: str
    condition: str = "true"
    also: str = ""
    """A further statement part that uses `gone`, the removed rows."""


KINDS: Mapping[History, _Kind] = {
    History.FIRINGS: _Kind(
        "firings",
        "fired_at",
        DELIVERED,
        f"""
        , spent AS (
            INSERT INTO spent_ids (owner_id, key, id, content_hash, seen_at)
            SELECT trigger_id, occurrence_key, id, sha256(coalesce(payload, '')), fired_at FROM gone
            WHERE trigger_type IN ({_ADDRESSED}) AND fired_at > {SPENT} ON CONFLICT DO NOTHING
        )
        , traces AS (DELETE FROM firing_traces WHERE firing_id IN (SELECT id FROM gone))
        , documents AS (DELETE FROM firing_documents WHERE firing_id IN (SELECT id FROM gone))""",  # noqa: S608
    ),
    History.INVOCATIONS: _Kind(
        "invocations",
        "finished_at",
        f"""{ENDED} AND NOT EXISTS (SELECT FROM firings f WHERE f.invocation_id = r.id AND f.state = 'pending')
            AND r.id NOT IN {TO_BE_SENT.format(column="invocation_id")}""",
        """
        , reflections AS (DELETE FROM sessions WHERE invocation_id IN (SELECT id FROM gone) RETURNING id)
        , transcripts AS (DELETE FROM messages WHERE session_id IN (SELECT id FROM reflections))
        , told AS (DELETE FROM notifications WHERE invocation_id IN (SELECT id FROM gone))
        , remote AS (DELETE FROM remote_tasks WHERE invocation_id IN (SELECT id FROM gone))""",
    ),
    History.DELIVERIES: _Kind("webhook_deliveries", "received_at"),
    History.MESSAGES: _Kind(
        "messages",
        "created_at",
        "NOT EXISTS (SELECT FROM sessions s WHERE s.id = r.session_id AND s.invocation_id IS NOT NULL)",
        f"""
        , spent AS (
            INSERT INTO spent_ids (owner_id, key, id, content_hash, seen_at)
            SELECT to_agent_id, concat_ws(E'\\n', 'event', from_id, channel, event_id), id,
                sha256(convert_to(text, 'UTF8')), created_at
            FROM gone WHERE event_id IS NOT NULL AND to_agent_id IS NOT NULL AND created_at > {SPENT}
            ON CONFLICT DO NOTHING
        )""",  # noqa: S608  # constants only
    ),
    History.NOTIFICATIONS: _Kind("notifications", "created_at", f"r.id NOT IN {TO_BE_SENT.format(column='id')}"),
    History.AUDIT: _Kind("audit_events", "at"),
}

_TENANTS = """
    WITH RECURSIVE present AS (
        (SELECT r.tenant_id FROM {table} r ORDER BY 1 LIMIT 1)
        UNION ALL
        SELECT (SELECT r.tenant_id FROM {table} r WHERE r.tenant_id > p.tenant_id ORDER BY 1 LIMIT 1)
        FROM present p WHERE p.tenant_id IS NOT NULL
    )
    , kept AS (
        SELECT p.tenant_id, coalesce(n.{column}, :days) AS days FROM present p LEFT JOIN tenants n ON n.id = p.tenant_id
    )
"""
"""The tenants that have rows, each found by one look at the index, and their days. Deleted tenants have no setting of
their own. The last one is NULL, which is the operator's audit trail.
"""
_OLD = """
    FROM {table} r WHERE r.{time} < now() - make_interval(days => k.days) AND {condition}
"""
_OF = "AND r.tenant_id = k.tenant_id"
_OPERATORS = "AND r.tenant_id IS NULL AND k.tenant_id IS NULL"
COUNT = f"""
    {_TENANTS}
    SELECT k.tenant_id, (SELECT count(*) {_OLD} {{owner}}) AS rows FROM kept k WHERE k.days > 0
"""  # noqa: S608  # constants only
REMOVE = f"""
    {_TENANTS}
    , old AS MATERIALIZED (
        SELECT o.id FROM (SELECT * FROM kept WHERE days > 0) k CROSS JOIN LATERAL (
            SELECT r.id {_OLD} {{owner}} ORDER BY r.{{time}} LIMIT {BATCH} FOR UPDATE OF r SKIP LOCKED
        ) o LIMIT {BATCH}
    )
    , gone AS (DELETE FROM {{table}} WHERE id = ANY (ARRAY(SELECT id FROM old)) RETURNING *){{also}}
    SELECT tenant_id, count(*) AS rows FROM gone GROUP BY 1
"""  # noqa: S608  # constants only
ADD_REMOVED = text("""
    INSERT INTO pruned_rows AS p (kind, removed) VALUES (:kind, :rows)
    ON CONFLICT (kind) DO UPDATE SET removed = p.removed + excluded.removed
""")
ALERTS_KEPT_DAYS = 90
LEFTOVERS = tuple(
    text(
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} r WHERE {old} LIMIT {BATCH}))"  # noqa: S608
    )
    for table, old in (
        ("spent_ids", f"seen_at < {SPENT}"),
        ("alerts", f"closed_at < clock_timestamp() - interval '{ALERTS_KEPT_DAYS} days'"),
        (
            "a2a_tasks",
            f"created_at < {SPENT} AND NOT EXISTS (SELECT FROM firings f WHERE f.id = r.firing_id)",
        ),
        (
            "notification_deliveries",
            """state <> 'pending' AND NOT EXISTS (SELECT FROM notifications n WHERE n.id = r.notification_id)
                AND NOT EXISTS (SELECT FROM alert_notices x WHERE x.id = r.notification_id)""",
        ),
    )
)  # only constants are interpolated
"""Rows that nothing refers to any more, and alerts that ended long ago."""

Removed = Mapping[UUID | None, int]
"""Rows per tenant; None is the operator's audit trail."""


def count_old(conn: Connection, kind: History, days: int) -> Removed:
    """Counts the rows that could be removed now. `days` applies to tenants without their own setting."""
    return _by_tenant(conn, kind, days, COUNT)


def remove_old(conn: Connection, kind: History, days: int) -> Removed:
    """Removes up to BATCH rows and counts them."""
    removed = _by_tenant(conn, kind, days, REMOVE)
    if removed:
        conn.execute(ADD_REMOVED, {"kind": kind.value, "rows": sum(removed.values())})
    return removed


def remove_leftovers(conn: Connection) -> bool:
    """Removes what pruned rows left behind. Returns whether there may be more."""
    counts = [conn.execute(statement).rowcount for statement in LEFTOVERS]
    return max(counts) >= BATCH


def read_removed(conn: Connection) -> dict[str, int]:
    """Reads how many rows of each kind have been removed so far."""
    found = {row.kind: row.removed for row in conn.execute(text("SELECT kind, removed FROM pruned_rows"))}
    return {kind.value: found.get(kind.value, 0) for kind in History}


def _by_tenant(conn: Connection, kind: History, days: int, statement: str) -> Removed:
    counts: dict[UUID | None, int] = {}
    for owner in (_OF, _OPERATORS) if kind is History.AUDIT else (_OF,):
        rows = conn.execute(_text(statement, kind, owner), {"days": days})
        counts |= {row.tenant_id: row.rows for row in rows if row.rows}
    return counts


def _text(statement: str, kind: History, owner: str) -> TextClause:
    at = KINDS[kind]
    return text(
        statement.format(
            table=at.table, time=at.time, condition=at.condition, also=at.also, column=kind.column, owner=owner
        )
    )
