"""Spends budgets and moves time forward, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from scheduler.domain.run import Replied
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import AgentWithTrigger, fire, row_of, run_once


def spend_tokens(
    db: Database, woken: AgentWithTrigger, tokens: int, zone: str = "UTC", tenant_id: UUID = DEFAULT_TENANT
) -> None:
    """Records token usage as a run would: half input, half output, on the agent's current day."""
    change(
        db,
        """
        INSERT INTO agent_usage (agent_id, day, tenant_id, tokens_in, tokens_out)
        VALUES (:id, CAST(clock_timestamp() AT TIME ZONE :zone AS date), :tenant_id, :half, :half)
        ON CONFLICT (agent_id, day) DO UPDATE SET tokens_in = excluded.tokens_in, tokens_out = excluded.tokens_out
        """,
        id=woken.agent_id,
        zone=zone,
        tenant_id=tenant_id,
        half=tokens // 2,
    )


def run_times(db: Database, woken: AgentWithTrigger, count: int) -> None:
    """Creates so many complete invocations, now."""
    for _ in range(count):
        fire(db, woken)
        run_once(db, Replied("done"))


def let_pass(db: Database, minutes: float) -> None:
    """Moves everything that an agent did, and its waiting windows, so far into the past."""
    change(
        db,
        """
        UPDATE invocations SET opened_at = opened_at - :by, due_at = due_at - :by, ready_at = ready_at - :by,
            started_at = started_at - :by, finished_at = finished_at - :by, held_until = held_until - :by
        """,
        by=timedelta(minutes=minutes),
    )
    change(db, "UPDATE budget_notices SET until = until - :by", by=timedelta(minutes=minutes))


def notices(db: Database) -> list[str]:
    """Returns the audited budget events, oldest first."""
    query = "SELECT action FROM audit_events WHERE action LIKE '%.budget_%' ORDER BY id"
    return [row.action for row in rows(db, query)]


def carried(db: Database, invocation_id: UUID) -> Sequence[UUID]:
    """Returns the firings of a closed invocation."""
    ids: Sequence[UUID] = row_of(db, invocation_id).firing_ids
    return ids
