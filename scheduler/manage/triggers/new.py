"""Creates one or many triggers: each is checked separately, then all are written together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.ids import new_id, new_token, token_hash
from scheduler.domain.model import JobKind
from scheduler.domain.permissions import Permitted
from scheduler.manage.agents import trigger_limits as agent_made
from scheduler.manage.agents.trigger_limits import TriggerAllowance, check_may_add
from scheduler.manage.triggers import rows
from scheduler.manage.triggers.spec import AgentLimits, TriggerSpec, check_spec
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import SOON, notify
from scheduler.storage.read_models.triggers import TriggerView
from scheduler.storage.rows import insert_rows
from scheduler.storage.tables.core import Job
from scheduler.storage.triggers import insert_triggers
from scheduler.triggers.base import first_run, parse_config, resolve_config, split_secrets, zone_for
from scheduler.triggers.registry import kind_of


@dataclass(frozen=True, slots=True)
class CreatedTrigger:
    """A new trigger. A webhook's `hook_token` is shown only this once, since only its hash is stored."""

    trigger: TriggerView
    hook_token: str | None = None


@dataclass(frozen=True, slots=True)
class Creator:
    """Who creates a trigger, and how."""

    actor: str
    created_by: str = ""
    is_system: bool = False
    by_agent: bool = False


@dataclass(frozen=True, slots=True)
class NewTrigger:
    """A checked new trigger: its columns, its first slot, a webhook's token, and who creates it."""

    values: dict[str, Any]
    first: datetime | None
    token: str | None
    actor: str

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """Returns the rows of its jobs."""
        id_, enabled, expires_at = self.values["id"], self.values["is_enabled"], self.values["expires_at"]
        found = []
        if self.first is not None:
            found.append(_job(id_, JobKind.FIRE, self.first if enabled else None))
        if expires_at is not None:
            found.append(_job(id_, JobKind.EXPIRY, expires_at))
        return found

    def view(self) -> TriggerView:
        """Returns the view of the new trigger without another query."""
        columns: dict[str, Any] = {each.name: self.values.get(each.name) for each in fields(TriggerView)}
        columns["timezone"] = self.values["zone"]
        columns["next_fire_at"] = self.first if self.values["is_enabled"] else None
        columns["fire_count"] = 0
        return TriggerView(**columns)

    def event(self) -> Event:
        """Returns the audit event of its creation."""
        about = {name: self.values[name] for name in ("name", "type")}
        if self.values["approval"] is not None:
            about["approval"] = self.values["approval"]
        agent_id, id_ = self.values["agent_id"], self.values["id"]
        return Event("trigger.created", self.values["tenant_id"], id_, agent_id, self.actor, about)


def plan_trigger(
    conn: Connection,
    agent: AgentLimits,
    spec: TriggerSpec,
    maker: Creator,
    room: TriggerAllowance,
    allow_private: AllowedPrivate,
    permitted: Permitted,
    seal: Callable[[Mapping[str, Any]], bytes | None],
) -> NewTrigger:
    """Checks a new trigger of a locked agent. Raises InvalidField, Forbidden, or Conflict for the limit."""
    by_agent = maker.by_agent
    own = agent_made.own_columns(conn, agent.agent_id, spec) if by_agent else {}
    check_spec(spec, agent.now)
    kind = kind_of(spec.type)
    context = rows.check_context(conn, agent, allow_private, permitted, by_agent=by_agent)
    config = parse_config(kind, spec.config, context)
    zone = zone_for(config, agent.agent_zone)
    trigger_id = new_id()
    first = first_run(config, zone, trigger_id, agent.now)
    if not maker.is_system:
        check_may_add(kind)
        room.take(by_agent=by_agent)
    if by_agent:
        agent_made.check_pace(config, zone, trigger_id, agent.now)
        spec = agent_made.bounded(spec, first, agent.now)
    public, secrets = split_secrets(kind, resolve_config(config, spec.config, context))
    token = new_token() if kind.has_address else None
    awaiting = by_agent and agent.approve_triggers
    enabled = spec.max_fires != 0 and not awaiting
    values = spec.columns() | {
        "id": trigger_id,
        "tenant_id": agent.owner_id,
        "agent_id": agent.agent_id,
        "type": kind.kind,
        "config": public,
        "zone": zone,
        **dict.fromkeys(("anchor_at", "created_at", "updated_at"), agent.now),
        "is_enabled": enabled,
        "paused_note": rows.note_of_new(enabled=enabled, awaiting=awaiting),
        "approval": agent_made.AWAITING if awaiting else None,
        "token_hash": token and token_hash(token),
        "secret": seal(secrets),
        "is_system": maker.is_system,
        "created_by": maker.created_by or maker.actor,
        **own,
    }
    return NewTrigger(values, first, token, maker.actor)


def write_triggers(conn: Connection, new: Sequence[NewTrigger]) -> list[CreatedTrigger]:
    """Writes triggers with their jobs and audit events. Raises Conflict if a name is taken."""
    with rows.refuse_taken(new[0].values["name"] if len(new) == 1 else "like one of these"):
        insert_triggers(conn, [each.values for each in new])
    jobs = [job for each in new for job in each.jobs]
    insert_rows(conn, Job.__tablename__, jobs)
    soonest = min((job["next_run_time"] for job in jobs if job["next_run_time"] is not None), default=None)
    if soonest is not None and soonest <= new[0].values["created_at"] + SOON:
        notify(conn)
    record_events(conn, [each.event() for each in new])
    return [CreatedTrigger(each.view(), each.token) for each in new]


def _job(trigger_id: UUID, kind: JobKind, time: datetime | None) -> dict[str, Any]:
    return {"trigger_id": trigger_id, "kind": kind.value, "next_run_time": time}
