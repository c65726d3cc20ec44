"""Reads how much of each budget is spent and announces it once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, TextClause, delete, text

from scheduler.domain.budgets import HOUR, Budget, Owner, Spending, day_in
from scheduler.storage.agents import AGENT_ZONE
from scheduler.storage.arrays import array, uuid_array
from scheduler.storage.audit import Event, record_events
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.tenants import BudgetNotice

LIMITS = frozenset({"max_tokens_per_day", "max_invocations_per_hour"})
"""The columns of `agents` and `tenants` that set budgets."""

_READ_AGENTS = f"""
    SELECT a.id, a.tenant_id, {AGENT_ZONE} AS zone, n.timezone AS tenant_zone,
        a.max_tokens_per_day, a.max_invocations_per_hour,
        coalesce(n.max_tokens_per_day, n.max_invocations_per_hour) IS NOT NULL AS is_tenant_limited,
        clock_timestamp() AS now
    FROM agents a JOIN tenants n ON n.id = a.tenant_id WHERE a.id = ANY(CAST(:ids AS uuid[]))
"""  # noqa: S608  # our own constant
READ_AGENTS = text(_READ_AGENTS)
LOCK_AGENTS = text(f"{_READ_AGENTS} FOR SHARE OF a SKIP LOCKED")

_READ_TENANTS = """
    SELECT id, max_tokens_per_day, max_invocations_per_hour FROM tenants WHERE id = ANY(CAST(:ids AS uuid[]))
"""
READ_TENANTS = text(_READ_TENANTS)
# The lock serializes admission of a tenant's invocations without blocking the creation of agents.
LOCK_TENANTS = text(f"{_READ_TENANTS} FOR NO KEY UPDATE SKIP LOCKED")

AGENT_TOKENS = text("""
    SELECT v.id, coalesce(u.tokens_in + u.tokens_out, 0)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:days AS date[])) AS v(id, day)
    LEFT JOIN agent_usage u ON u.agent_id = v.id AND u.day = v.day
""")
TENANT_TOKENS = text("""
    SELECT v.id, coalesce((
        SELECT sum(u.tokens_in + u.tokens_out) FROM agent_usage u WHERE u.tenant_id = v.id AND u.day = v.day
    ), 0)::bigint
    FROM unnest(CAST(:ids AS uuid[]), CAST(:days AS date[])) AS v(id, day)
""")

# `times` is sorted newest first: when the one at the limit is an hour old, there is room for one more. Skipped
# invocations woke nobody and do not count.
_INVOCATIONS = """
    SELECT v.id, spent.used, spent.times[least(v.most, spent.used)] AS first_to_leave
    FROM unnest(CAST(:ids AS uuid[]), CAST(:limits AS int[])) AS v(id, most)
    CROSS JOIN LATERAL (
        SELECT count(*) AS used, array_agg(i.ready_at ORDER BY i.ready_at DESC) AS times
        FROM {source} AND i.ready_at > :since AND i.state <> 'skipped'
    ) spent
"""
AGENT_INVOCATIONS = text(_INVOCATIONS.format(source="invocations i WHERE i.agent_id = v.id"))
TENANT_INVOCATIONS = text(
    _INVOCATIONS.format(source="agents a JOIN invocations i ON i.agent_id = a.id WHERE a.tenant_id = v.id")
)

ANNOUNCE = text("""
    INSERT INTO budget_notices (owner_id, budget, level, until)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:budgets AS text[]), CAST(:levels AS text[]),
        CAST(:untils AS timestamptz[])) AS v(owner_id, budget, level, until) ORDER BY owner_id, budget, level
    ON CONFLICT (owner_id, budget, level) DO UPDATE SET until = excluded.until
    WHERE budget_notices.until <= :now
    RETURNING owner_id, budget, level
""")


@dataclass(frozen=True, slots=True)
class Notice:
    """Records that a budget was found nearly or fully spent when this agent's window was due.

    Repeated after `until`.
    """

    agent_id: UUID
    owner: Owner
    owner_id: UUID
    budget: Budget
    level: str
    used: int
    limit: int | None
    until: datetime

    @classmethod
    def of(cls, agent_id: UUID, spending: Spending, now: datetime) -> Notice:
        """Creates the notice for `spending`."""
        level = "spent" if spending.is_spent else "nearly_spent"
        until = spending.frees_at if spending.budget is Budget.TOKENS else now + HOUR
        return cls(
            agent_id,
            spending.owner,
            spending.owner_id,
            spending.budget,
            level,
            spending.used,
            spending.limit,
            until,
        )

    def event(self, tenant_id: UUID) -> Event:
        """Returns the notice as an audit event."""
        return Event(
            f"{self.owner}.budget_{self.level}",
            tenant_id,
            subject_id=self.owner_id,
            agent_id=self.agent_id,
            detail={"budget": self.budget, "used": self.used, "limit": self.limit},
        )


class LimitedAgent(NamedTuple):
    """An agent with its limits and zones, as of `now`."""

    id: UUID
    tenant_id: UUID
    zone: str
    tenant_zone: str
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None
    is_tenant_limited: bool
    now: datetime


class LimitedTenant(NamedTuple):
    """A tenant with its limits."""

    id: UUID
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None


@dataclass(frozen=True, slots=True)
class Accounts:
    """The budgets of some agents and their tenants as of `now`."""

    now: datetime
    agents: Mapping[UUID, LimitedAgent]
    spendings: Mapping[UUID, list[Spending]]
    """By agent or tenant."""

    def of(self, agent_id: UUID) -> list[Spending]:
        """Returns every budget that an agent spends from, its tenant's included."""
        return self.spendings[agent_id] + self.spendings.get(self.agents[agent_id].tenant_id, [])


def lock_accounts(conn: Connection, agent_ids: Collection[UUID]) -> Accounts | None:
    """Locks and returns the accounts of the given agents, skipping those whose limits or tenant another
    transaction holds.

    Agents are locked against changed limits; a limited tenant is locked exclusively.
    """
    rows = rows_as(LimitedAgent, conn.execute(LOCK_AGENTS, {"ids": uuid_array(agent_ids)}))
    tenants = _tenants(conn, rows, LOCK_TENANTS)
    return _accounts(conn, [row for row in rows if not row.is_tenant_limited or row.tenant_id in tenants], tenants)


def read_accounts(conn: Connection, agent_ids: Collection[UUID]) -> Accounts | None:
    """Reads the accounts of the given agents without locking."""
    rows = rows_as(LimitedAgent, conn.execute(READ_AGENTS, {"ids": uuid_array(agent_ids)}))
    return _accounts(conn, rows, _tenants(conn, rows, READ_TENANTS))


def announce(conn: Connection, accounts: Accounts, notices: Iterable[Notice]) -> None:
    """Records the notices in the audit trail, each budget and level once per period."""
    found = {(each.owner_id, each.budget, each.level): each for each in notices}
    if not found:
        return
    rows = conn.execute(
        ANNOUNCE,
        {
            "now": accounts.now,
            "ids": uuid_array(each.owner_id for each in found.values()),
            "budgets": [each.budget for each in found.values()],
            "levels": [each.level for each in found.values()],
            "untils": array(each.until for each in found.values()),
        },
    ).all()
    new = [found[row.owner_id, Budget(row.budget), row.level] for row in rows]
    record_events(conn, [each.event(accounts.agents[each.agent_id].tenant_id) for each in new])


def forget_notices(conn: Connection, owner_id: UUID) -> None:
    """Deletes the notices of an owner whose limit has changed, so that new ones are announced."""
    conn.execute(delete(BudgetNotice).where(BudgetNotice.owner_id == owner_id))


def _tenants(conn: Connection, rows: Collection[LimitedAgent], statement: TextClause) -> dict[UUID, LimitedTenant]:
    ids = {row.tenant_id for row in rows if row.is_tenant_limited}
    return (
        {row.id: row for row in rows_as(LimitedTenant, conn.execute(statement, {"ids": list(ids)}))} if ids else {}
    )


def _accounts(
    conn: Connection, rows: Collection[LimitedAgent], tenants: Mapping[UUID, LimitedTenant]
) -> Accounts | None:
    if not rows:
        return None
    now = max(row.now for row in rows)
    agents = {row.id: row for row in rows}
    zones = {row.id: row.zone for row in rows}
    tenant_zones = {row.tenant_id: row.tenant_zone for row in rows if row.tenant_id in tenants}
    spendings = _spendings(conn, Owner.AGENT, agents, zones, now)
    if tenant_zones:
        spendings |= _spendings(conn, Owner.TENANT, tenants, tenant_zones, now)
    return Accounts(now, agents, spendings)


def _spendings(
    conn: Connection,
    owner: Owner,
    owners: Mapping[UUID, LimitedAgent | LimitedTenant],
    zones: Mapping[UUID, str],
    now: datetime,
) -> dict[UUID, list[Spending]]:
    in_zones = {zone: day_in(zone, now) for zone in {*zones.values()}}
    days = {each: in_zones[zone] for each, zone in zones.items()}
    tokens, invocations = _statements(owner)
    found: dict[UUID, list[Spending]] = {each: [] for each in zones}
    spent = {"ids": uuid_array(days), "days": array(day for day, _ in days.values())}
    for each, used in conn.execute(tokens, spent).all():
        limit = owners[each].max_tokens_per_day
        found[each].append(Spending(owner, each, Budget.TOKENS, limit, used, days[each][1]))
    limits = {each: owners[each].max_invocations_per_hour for each in zones}
    values = {"ids": uuid_array(limits), "limits": array(limits.values()), "since": now - HOUR}
    for each, used, first_to_leave in conn.execute(invocations, values).all():
        frees_at = (first_to_leave or now) + HOUR
        found[each].append(Spending(owner, each, Budget.INVOCATIONS, limits[each], used, frees_at))
    return found


def _statements(owner: Owner) -> tuple[TextClause, TextClause]:
    if owner is Owner.AGENT:
        return AGENT_TOKENS, AGENT_INVOCATIONS
    return TENANT_TOKENS, TENANT_INVOCATIONS
