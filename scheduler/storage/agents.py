"""Stores agents. Deletion is soft, so that the history keeps their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
    update,
)

from scheduler.domain.errors import NotFound
from scheduler.storage.faults import refuse_duplicate
from scheduler.storage.rows import one_as, row_as, rows_as
from scheduler.storage.tables.core import Agent
from scheduler.storage.tables.tenants import Tenant

AGENTS = Agent.__table__
ZONE = func.coalesce(Agent.timezone, Tenant.timezone)
"""The effective time zone of an agent: its own, else its tenant's."""
AGENT_ZONE = "coalesce(a.timezone, n.timezone)"
"""The same in SQL, for agent `a` of tenant `n`."""
INSERT = insert(Agent).returning(AGENTS, sort_by_parameter_order=True)
TAKEN_NAMES = select(Agent.name).where(
    Agent.tenant_id == bindparam("tenant_id"),
    Agent.name == any_(bindparam("names", type_=ARRAY(Text))),
    Agent.deleted_at.is_(None),
)
DUPLICATE = "There is already an agent with that name; choose another."


def get_agent(conn: Connection, tenant_id: UUID, agent_id: UUID, *, lock: bool = False) -> Agent:
    """Returns a tenant's agent; raises NotFound. `lock` locks the row until commit."""
    statement = select(AGENTS).where(
        Agent.id == agent_id, Agent.tenant_id == tenant_id, Agent.deleted_at.is_(None)
    )
    row = row_as(Agent, conn.execute(statement.with_for_update() if lock else statement))
    if row is None:
        raise NotFound(f"There is no agent '{agent_id}'.")
    return row


def delete_agents(conn: Connection, tenant_id: UUID, agent_ids: Sequence[UUID]) -> list[Agent]:
    """Locks and soft-deletes a tenant's agents; returns those that were there."""
    mine = and_(Agent.id == any_(literal(list(agent_ids), ARRAY(Uuid()))), Agent.tenant_id == tenant_id)
    there = select(Agent.id).where(mine, Agent.deleted_at.is_(None)).order_by(Agent.id).with_for_update()
    ids = list(conn.scalars(there))
    now = func.clock_timestamp()
    gone = (
        update(Agent).where(Agent.id == any_(literal(ids, ARRAY(Uuid())))).values(deleted_at=now, updated_at=now)
    )
    return rows_as(Agent, conn.execute(gone.returning(AGENTS)))


def list_agents(
    conn: Connection, tenant_id: UUID, *, only: UUID | None = None, limit: int, after: UUID | None = None
) -> Sequence[Agent]:
    """Lists up to `limit` of a tenant's agents, newest first, older than `after`.

    `only` restricts it to one agent.
    """
    statement = select(AGENTS).where(Agent.tenant_id == tenant_id, Agent.deleted_at.is_(None))
    if only is not None:
        statement = statement.where(Agent.id == only)
    if after is not None:
        statement = statement.where(Agent.id < after)
    return rows_as(Agent, conn.execute(statement.order_by(Agent.id.desc()).limit(limit)))


def zone_of_agent(conn: Connection, agent_id: UUID) -> str:
    """Returns an agent's effective time zone: its own, else its tenant's."""
    return str(conn.scalar(select(ZONE).join(Tenant, Tenant.id == Agent.tenant_id).where(Agent.id == agent_id)))


def find_public_agent(conn: Connection, agent_id: UUID) -> Agent | None:
    """Finds an agent of any tenant whose card is public."""
    statement = select(AGENTS).where(Agent.id == agent_id, Agent.public_card, Agent.deleted_at.is_(None))
    return row_as(Agent, conn.execute(statement))


def find_agents(conn: Connection, tenant_id: UUID, words: str | None, *, limit: int) -> Sequence[Agent]:
    """Lists up to `limit` of a tenant's agents by name, filtered by `words` in the name or role."""
    statement = select(AGENTS).where(Agent.tenant_id == tenant_id, Agent.deleted_at.is_(None))
    if words is not None:
        statement = statement.where(
            Agent.name.icontains(words, autoescape=True) | Agent.role_description.icontains(words, autoescape=True)
        )
    return rows_as(Agent, conn.execute(statement.order_by(Agent.name).limit(limit)))


def create_agent(conn: Connection, tenant_id: UUID, values: Mapping[str, Any]) -> Agent:
    """Creates an agent from column `values`. Raises Conflict if the name is taken."""
    return create_agents(conn, tenant_id, [values])[0]


def create_agents(conn: Connection, tenant_id: UUID, new: Sequence[Mapping[str, Any]]) -> Sequence[Agent]:
    """Creates agents that all set the same columns, in order. Raises Conflict if a name is taken."""
    with refuse_duplicate("uq_agents_tenant_name", DUPLICATE):
        return rows_as(Agent, conn.execute(INSERT, [{"tenant_id": tenant_id, **values} for values in new]))


def taken_names(conn: Connection, tenant_id: UUID, names: Sequence[str]) -> set[str]:
    """Returns those of these names that a tenant's agents already use."""
    return set(conn.scalars(TAKEN_NAMES, {"tenant_id": tenant_id, "names": list(names)}))


def update_agent(conn: Connection, agent_id: UUID, values: Mapping[str, Any]) -> Agent:
    """Updates columns of an agent that the caller has locked. Raises Conflict if the name is taken."""
    columns: dict[str, Any] = {"updated_at": func.clock_timestamp(), **values}
    if values.get("is_paused") is False:
        columns["expected_since"] = columns["updated_at"]
    elif "expect_wake_within" in values:
        is_new = Agent.expect_wake_within.is_(None)
        columns["expected_since"] = case((is_new, columns["updated_at"]), else_=Agent.expected_since)
    with refuse_duplicate("uq_agents_tenant_name", DUPLICATE):
        return one_as(
            Agent,
            conn.execute(update(Agent).where(Agent.id == agent_id).values(columns).returning(AGENTS)),
        )
