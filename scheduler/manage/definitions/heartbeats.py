"""The heartbeat within an agent's definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from scheduler.manage.agents.heartbeat import HeartbeatSettings, set_heartbeat
from scheduler.manage.definitions.shapes import Doc
from scheduler.manage.definitions.unit_of_work import JoinedDatabase, Work
from scheduler.manage.triggers.rows import HEARTBEAT
from scheduler.storage.tables.core import Trigger


def read_heartbeats(conn: Connection, tenant_id: UUID) -> dict[UUID, Doc]:
    """Returns the heartbeats of a tenant's agents, as definitions have them."""
    query = select(Trigger.agent_id, Trigger.config, Trigger.reason, Trigger.is_enabled).where(
        Trigger.tenant_id == tenant_id,
        Trigger.is_system,
        Trigger.name == HEARTBEAT,
        Trigger.deleted_at.is_(None),
    )
    return {
        row.agent_id: asdict(
            HeartbeatSettings(_minutes(row.config), row.config.get("only_between"), row.reason, row.is_enabled)
        )
        for row in conn.execute(query)
    }


def wanted_heartbeat(work: Work, given: Any, held: Doc | None) -> Doc:
    """Returns a definition's heartbeat as it is stored; whether it is on stays if that is left out."""
    fields = given.model_dump()
    if fields["enabled"] is None:
        fields["enabled"] = True if held is None else held["enabled"]
    return asdict(HeartbeatSettings(**fields).within(work.tenant.min_heartbeat_interval))


def apply_heartbeat(work: Work, agent_id: UUID, doc: Doc) -> None:
    """Creates or changes an agent's heartbeat."""
    db, triggers = JoinedDatabase(work.conn), work.services.triggers
    set_heartbeat(db, triggers, work.tenant.id, agent_id, HeartbeatSettings(**doc), actor=work.actor)


def _minutes(config: Mapping[str, Any]) -> float:
    minutes = config.get("minutes")
    return float(config["seconds"]) / 60 if minutes is None else float(minutes)
