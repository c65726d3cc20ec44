"""Adds usage to the invocation and to the agent's day in its time zone, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select, text

from scheduler.domain.llm import ResponseUsage
from scheduler.domain.periods import month_around
from scheduler.metrics import COST, TOKENS, later
from scheduler.storage.agents import AGENT_ZONE
from scheduler.storage.arrays import uuid_array
from scheduler.storage.pipelines import send_along
from scheduler.storage.rows import as_json, one_as, rows_as
from scheduler.storage.tables.tenants import AgentUsage, Tenant

_TODAY = f"CAST(clock_timestamp() AT TIME ZONE {AGENT_ZONE} AS date)"

_COUNT = text(f"""
    INSERT INTO agent_usage AS u (agent_id, day, tenant_id, tokens_in, tokens_out, cost, invocations)
    SELECT a.id, {_TODAY}, a.tenant_id, :tokens_in, :tokens_out, :cost, :invocations
    FROM invocations i JOIN agents a ON a.id = i.agent_id JOIN tenants n ON n.id = a.tenant_id
    WHERE i.id = :invocation_id
    ON CONFLICT (agent_id, day) DO UPDATE SET
        tokens_in = u.tokens_in + excluded.tokens_in,
        tokens_out = u.tokens_out + excluded.tokens_out,
        cost = u.cost + excluded.cost,
        invocations = u.invocations + excluded.invocations
""")  # noqa: S608  # constants only

# Ordered by agent, so that two statements lock shared rows in the same order.
_COUNT_ENDED = text(f"""
    INSERT INTO agent_usage AS u (agent_id, day, tenant_id, tokens_in, tokens_out, cost, invocations)
    SELECT a.id, {_TODAY}, a.tenant_id, 0, 0, 0, count(*)
    FROM invocations i JOIN agents a ON a.id = i.agent_id JOIN tenants n ON n.id = a.tenant_id
    WHERE i.id = ANY(CAST(:ids AS uuid[]))
    GROUP BY a.id, a.tenant_id, {_TODAY} ORDER BY a.id
    ON CONFLICT (agent_id, day) DO UPDATE SET invocations = u.invocations + excluded.invocations
""")  # noqa: S608  # constants only

_ON_INVOCATION = text("""
    UPDATE invocations
    SET tokens_in = tokens_in + :tokens_in, tokens_out = tokens_out + :tokens_out, cost = cost + :cost
    WHERE id = :invocation_id
""")

_SPENT = "json_to_recordset(CAST(:rows AS json)) AS v(id uuid, tokens_in bigint, tokens_out bigint, cost numeric)"

_ON_INVOCATIONS = text(f"""
    UPDATE invocations i
    SET tokens_in = i.tokens_in + v.tokens_in, tokens_out = i.tokens_out + v.tokens_out, cost = i.cost + v.cost
    FROM {_SPENT} WHERE i.id = v.id
""")  # noqa: S608  # constants only

_COUNT_SPENT = text(f"""
    INSERT INTO agent_usage AS u (agent_id, day, tenant_id, tokens_in, tokens_out, cost, invocations)
    SELECT a.id, {_TODAY}, a.tenant_id, sum(v.tokens_in), sum(v.tokens_out), sum(v.cost), 0
    FROM {_SPENT} JOIN invocations i ON i.id = v.id
        JOIN agents a ON a.id = i.agent_id JOIN tenants n ON n.id = a.tenant_id
    GROUP BY a.id, a.tenant_id, {_TODAY} ORDER BY a.id
    ON CONFLICT (agent_id, day) DO UPDATE SET
        tokens_in = u.tokens_in + excluded.tokens_in,
        tokens_out = u.tokens_out + excluded.tokens_out,
        cost = u.cost + excluded.cost
""")  # noqa: S608  # constants only

# A run's tokens are divided equally among its firings; `firing_ids` lists them even after a replay.
_BY_TRIGGER = text("""
    SELECT f.trigger_id, max(f.trigger_name) AS trigger_name, count(*) AS firings,
        sum(i.tokens_in * 1.0 / i.shares) AS tokens_in, sum(i.tokens_out * 1.0 / i.shares) AS tokens_out,
        sum(i.cost / i.shares) AS cost
    FROM (
        SELECT id, tokens_in, tokens_out, cost, firing_ids, cardinality(firing_ids) AS shares
        FROM invocations
        WHERE agent_id = :agent_id AND cardinality(firing_ids) > 0 AND (tokens_in + tokens_out > 0 OR cost > 0)
            AND opened_at >= clock_timestamp() - make_interval(days => :days)
    ) i CROSS JOIN LATERAL unnest(i.firing_ids) AS told(id) JOIN firings f ON f.id = told.id
    GROUP BY f.trigger_id ORDER BY cost DESC, tokens_in DESC, f.trigger_id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class TriggerUsage:
    """A trigger's share of its agent's usage."""

    trigger_id: UUID
    trigger_name: str
    firings: int
    tokens_in: Decimal
    tokens_out: Decimal
    cost: Decimal


def count_spent(conn: Connection, invocation_id: UUID, spent: ResponseUsage) -> None:
    """Adds a response's usage to its invocation and to its agent's day."""
    values = {"tokens_in": spent.tokens_in, "tokens_out": spent.tokens_out, "cost": spent.cost}
    later(conn, lambda: _tally([spent]))
    conn.execute(_ON_INVOCATION, values | {"invocation_id": invocation_id})
    conn.execute(_COUNT, values | {"invocation_id": invocation_id, "invocations": 0})


def count_all_spent(conn: Connection, spent: Mapping[UUID, ResponseUsage]) -> None:
    """Adds the usage that agents reported, by invocation, to these and to the agents' days."""
    rows = [
        {"id": each, "tokens_in": taken.tokens_in, "tokens_out": taken.tokens_out, "cost": f"{taken.cost:f}"}
        for each, taken in spent.items()
    ]
    later(conn, lambda: _tally(spent.values()))
    conn.execute(_ON_INVOCATIONS, {"rows": as_json(rows)})
    conn.execute(_COUNT_SPENT, {"rows": as_json(rows)})


def _tally(spent: Iterable[ResponseUsage]) -> None:
    for each in spent:
        TOKENS.labels("in").inc(each.tokens_in)
        TOKENS.labels("out").inc(each.tokens_out)
        COST.inc(float(each.cost))


def count_invocations(conn: Connection, ids: Collection[UUID]) -> None:
    """Adds ended invocations to their agents' days."""
    send_along(conn, _COUNT_ENDED, ids=uuid_array(ids))


def usage_by_day(conn: Connection, agent_id: UUID, since: date) -> Sequence[AgentUsage]:
    """Returns what an agent spent on each day since `since`, newest first."""
    days = select(AgentUsage.__table__).where(AgentUsage.agent_id == agent_id, AgentUsage.day >= since)
    return rows_as(AgentUsage, conn.execute(days.order_by(AgentUsage.day.desc())))


def usage_by_trigger(conn: Connection, agent_id: UUID, days: int, limit: int = 100) -> Sequence[TriggerUsage]:
    """Returns what each of an agent's triggers spent in the last `days`, most expensive first, as shares of each
    run.
    """
    return rows_as(TriggerUsage, conn.execute(_BY_TRIGGER, {"agent_id": agent_id, "days": days, "limit": limit}))


# Kept by day in each agent's zone, also when the invocations have been removed.
SPENT_IN_DAYS = text("""
    SELECT coalesce(sum(invocations), 0)::bigint AS invocations, coalesce(sum(tokens_in), 0)::bigint AS tokens_in,
        coalesce(sum(tokens_out), 0)::bigint AS tokens_out, coalesce(sum(cost), 0) AS cost
    FROM agent_usage
    WHERE tenant_id = :tenant_id AND day >= :first AND day < :end
        AND (CAST(:agent_id AS uuid) IS NULL OR agent_id = :agent_id)
""")


class PeriodSpending(NamedTuple):
    """What was spent in some days."""

    invocations: int
    tokens_in: int
    tokens_out: int
    cost: Decimal


class MonthlySpending(NamedTuple):
    """What was spent in a month so far, and what it may cost; for one agent there is no budget."""

    start: datetime
    end: datetime
    spent: PeriodSpending
    budget: float | None


def read_spent(
    conn: Connection, tenant_id: UUID, first: date, end: date, *, agent_id: UUID | None = None
) -> PeriodSpending:
    """Reads what a tenant, or one of its agents, spent from the day `first` to the day before `end`."""
    values = {"tenant_id": tenant_id, "first": first, "end": end, "agent_id": agent_id}
    return one_as(PeriodSpending, conn.execute(SPENT_IN_DAYS, values))


def read_month(conn: Connection, tenant: Tenant, now: datetime, agent_id: UUID | None) -> MonthlySpending:
    """Reads the spending of this month in the tenant's zone."""
    start, end = month_around(now, tenant.timezone)
    spent = read_spent(conn, tenant.id, start.date(), end.date(), agent_id=agent_id)
    return MonthlySpending(start, end, spent, tenant.cost_budget_per_month if agent_id is None else None)
