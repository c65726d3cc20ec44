"""Reads and locks triggers before they change. Lock order: the agent, the jobs, the trigger."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Select, Text, Uuid, any_, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.model import JobKind
from scheduler.domain.permissions import Permitted
from scheduler.manage.agents.rights import check_may_change
from scheduler.manage.agents.trigger_limits import AWAITING, AWAITING_NOTE
from scheduler.manage.triggers.spec import AgentLimits, TriggerSpec, TriggerWithLimits
from scheduler.net.headers import check_request, check_server
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.agents import ZONE
from scheduler.storage.audit import record_event
from scheduler.storage.engine import Database
from scheduler.storage.references import find_reference
from scheduler.storage.rows import row_as, rows_as
from scheduler.storage.tables.core import Agent, Job, Trigger
from scheduler.storage.tables.tenants import Tenant
from scheduler.triggers.base import CheckContext, faults_of, first_slot
from scheduler.triggers.registry import kind_of

HEARTBEAT = "heartbeat"
"""The name of the heartbeat trigger."""

AGENT_COLUMNS = (
    Agent.id.label("agent_id"),
    Agent.tenant_id.label("owner_id"),
    ZONE.label("agent_zone"),
    Agent.max_triggers,
    Agent.approve_triggers,
    Tenant.min_heartbeat_interval.label("heartbeat_floor"),
    func.greatest(Agent.min_poll_interval_min, Tenant.min_poll_interval_min).label("poll_floor"),
    Tenant.max_webhook_body_bytes,
    func.clock_timestamp().label("now"),
)


LOCK_AGENTS = (
    select(*AGENT_COLUMNS)
    .join(Tenant, Tenant.id == Agent.tenant_id)
    .where(Agent.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .where(Agent.tenant_id == bindparam("tenant_id"), Agent.deleted_at.is_(None))
    .order_by(Agent.id)
    .with_for_update(of=Agent, key_share=True)
)
TAKEN_NAMES = select(Trigger.agent_id, Trigger.name).where(
    Trigger.agent_id == any_(bindparam("ids", type_=ARRAY(Uuid))),
    Trigger.name == any_(bindparam("names", type_=ARRAY(Text))),
    Trigger.deleted_at.is_(None),
    Trigger.is_system.is_(False),
)


def lock_agent(conn: Connection, tenant_id: UUID, agent_id: UUID) -> AgentLimits:
    """Locks the agent, so that nobody else creates triggers for it. Raises NotFound."""
    return found_agent(lock_agents(conn, tenant_id, [agent_id]), agent_id)


def found_agent(agents: Mapping[UUID, AgentLimits], agent_id: UUID) -> AgentLimits:
    """Returns one of these agents. Raises NotFound."""
    if agent_id not in agents:
        raise NotFound(f"There is no agent {agent_id}.")
    return agents[agent_id]


def lock_agents(conn: Connection, tenant_id: UUID, agent_ids: Collection[UUID]) -> dict[UUID, AgentLimits]:
    """Locks several agents, ordered by id; omits missing ones."""
    found = conn.execute(LOCK_AGENTS, {"ids": list(agent_ids), "tenant_id": tenant_id})
    return {each.agent_id: each for each in rows_as(AgentLimits, found)}


def read_trigger(conn: Connection, tenant_id: UUID, trigger_id: UUID) -> TriggerWithLimits:
    """Reads the whole trigger with its agent's settings, without locks. Raises NotFound."""
    return _one(conn, _trigger_query(tenant_id, trigger_id), trigger_id)


def lock_trigger(
    conn: Connection, tenant_id: UUID, trigger_id: UUID, *, by_agent: bool = False
) -> TriggerWithLimits:
    """Locks the whole trigger for a change, its jobs first.

    Raises NotFound, Forbidden when its agent may not change it. Waits for a scheduler's pass that holds them, so
    that the change applies to the state after it.
    """
    conn.execute(select(Job.kind).where(Job.trigger_id == trigger_id).order_by(Job.kind).with_for_update())
    row = _one(conn, _trigger_query(tenant_id, trigger_id).with_for_update(of=Trigger), trigger_id)
    if by_agent:
        check_may_change(row)
    return row


def lock_trigger_and_agent(
    conn: Connection, tenant_id: UUID, trigger_id: UUID, *, by_agent: bool = False
) -> TriggerWithLimits:
    """Locks a trigger like `lock_trigger`, and its agent before it, for changes that count toward its limit."""
    lock_agent(conn, tenant_id, read_trigger(conn, tenant_id, trigger_id).agent_id)
    return lock_trigger(conn, tenant_id, trigger_id, by_agent=by_agent)


def _trigger_query(tenant_id: UUID, trigger_id: UUID) -> Select[Any]:
    return (
        select(*(each for each in Trigger.__table__.columns if each.name != "agent_id"), *AGENT_COLUMNS)
        .add_columns(Job.kind.label("job_kind"), Job.next_run_time)
        .join(Agent, Agent.id == Trigger.agent_id)
        .join(Tenant, Tenant.id == Trigger.tenant_id)
        .join(Job, (Job.trigger_id == Trigger.id) & (Job.kind == JobKind.FIRE.value), isouter=True)
        .where(Trigger.id == trigger_id, Trigger.tenant_id == tenant_id, Trigger.deleted_at.is_(None))
    )


def _one(conn: Connection, query: Select[Any], trigger_id: UUID) -> TriggerWithLimits:
    row = row_as(TriggerWithLimits, conn.execute(query))
    if row is None:
        raise NotFound(f"There is no trigger {trigger_id}.")
    return row


AWAITS: dict[str, Any] = {"is_enabled": False, "paused_note": AWAITING_NOTE, "approval": AWAITING}
"""The columns of a trigger whose change needs a person's approval."""


def note_of_new(*, enabled: bool, awaiting: bool) -> str | None:
    """Returns the paused_note of a new trigger."""
    return None if enabled else AWAITING_NOTE if awaiting else "max_fires"


def fresh_start(kind_name: str, now: datetime) -> dict[str, Any]:
    """Returns the columns that a resume resets: the fire count, and the starts of listening and expecting."""
    start: dict[str, Any] = {"fire_count": 0, "expected_since": now}
    return start | {"listens_since": now} if kind_of(kind_name).forgets_while_paused else start


def check_context(
    conn: Connection, agent: AgentLimits, allow_private: AllowedPrivate, permitted: Permitted, *, by_agent: bool
) -> CheckContext:
    """Returns the context in which configs of this agent's triggers are checked."""
    return CheckContext(
        now=agent.now,
        min_poll_interval_min=agent.poll_floor,
        max_webhook_body_bytes=agent.max_webhook_body_bytes,
        check_request=partial(check_request, allow_private=allow_private),
        check_server=partial(check_server, allow_private=allow_private),
        agent_id=agent.agent_id,
        permitted=permitted,
        by_agent=by_agent,
        find=partial(find_reference, conn, agent.owner_id),
    )


def widened(row: TriggerWithLimits, config: dict[str, Any]) -> dict[str, Any]:
    """Returns a changed config; a heartbeat faster than the tenant allows is slowed down."""
    if not (row.is_system and row.name == HEARTBEAT):
        return config
    given = {"minutes": config.get("minutes"), "seconds": config.get("seconds")}
    if not all(each is None or type(each) in (int, float) for each in given.values()):
        return config  # parsing it reports the error
    every = (given["minutes"] or 0) + (given["seconds"] or 0) / 60
    is_given = any(each is not None for each in given.values())  # otherwise the default of an interval would apply
    if is_given and (every <= 0 or every >= row.heartbeat_floor):
        return config
    return {name: value for name, value in config.items() if name not in given} | {
        "minutes": float(row.heartbeat_floor)
    }


def spec_of(row: TriggerWithLimits) -> TriggerSpec:
    """Returns the stored trigger as a spec."""
    return TriggerSpec(**{each.name: getattr(row, each.name) for each in fields(TriggerSpec)})


def first_run_of(row: TriggerWithLimits) -> datetime | None:
    """Returns when a stored trigger that starts at `row.now` runs next; raises Conflict when no slot is left."""
    if row.expires_at is not None and row.expires_at <= row.now:
        raise Conflict("The trigger has expired; set a later expires_at first.", field="expires_at")
    if row.max_fires == 0:
        raise Conflict("The trigger may fire 0 times; set max_fires first.", field="max_fires")
    config = kind_of(row.type).model_construct(**row.config)
    with faults_of(row.type):
        schedule = config.schedule(row.zone, row.anchor_at, row.id)
        if schedule is None:
            return None
        first = first_slot(config, schedule, row.now)
    fired = row.last_fired_at is not None and first is not None and row.last_fired_at >= first
    if first is None or fired:
        field = f"config.{config.renewed_by}" if config.renewed_by else "config"
        raise Conflict(f"The trigger has nothing left to fire; give it a new {field} first.", field=field)
    return first


def change_trigger(conn: Connection, trigger_id: UUID, **values: object) -> None:
    """Sets columns of a locked trigger and its updated_at."""
    changed = {"updated_at": func.clock_timestamp()} | values
    conn.execute(update(Trigger).where(Trigger.id == trigger_id).values(changed))


def taken_names(conn: Connection, wanted: Collection[tuple[UUID, TriggerSpec]]) -> set[tuple[UUID, str]]:
    """Returns those (agent id, name) pairs that exist already."""
    values = {"ids": list({agent_id for agent_id, _ in wanted}), "names": list({spec.name for _, spec in wanted})}
    return {(row.agent_id, row.name) for row in conn.execute(TAKEN_NAMES, values)}


def name_taken(name: str) -> Conflict:
    """Creates the error for a name that the agent already uses."""
    return Conflict(f"The agent already has a trigger named {name!r}.", field="name")


@contextmanager
def refuse_taken(name: str) -> Iterator[None]:
    """Raises Conflict when the block writes a trigger whose name its agent already uses."""
    try:
        yield
    except IntegrityError as error:
        if "uq_triggers_agent_" in str(error.orig):
            raise name_taken(name) from None
        raise


@contextmanager
def auditing_limits(db: Database, tenant_id: UUID, actor: str, **about: UUID) -> Iterator[None]:
    """Audits a reached limit in a separate transaction, since the refused one is rolled back."""
    try:
        yield
    except Conflict as refusal:
        if refusal.field == "max_triggers":
            with db.begin() as conn:
                record_event(conn, action="trigger.limit", tenant_id=tenant_id, actor=actor, **about)
        raise


def audit(
    conn: Connection, verb: str, tenant_id: UUID, agent_id: UUID, trigger_id: UUID, actor: str, **detail: object
) -> None:
    """Audits a change of a trigger and who made it."""
    record_event(
        conn,
        action=f"trigger.{verb}",
        tenant_id=tenant_id,
        subject_id=trigger_id,
        agent_id=agent_id,
        actor=actor,
        **detail,
    )
