"""Rows that many tests start from, created through the product's own code where it exists."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import insert, text

from scheduler.domain.ids import new_id
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.engine import Database
from scheduler.storage.read_models.triggers import TriggerView
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.core import Agent
from scheduler.storage.tables.tenants import Tenant

DEFAULT_TENANT = UUID("00000000-0000-7000-8000-000000000001")
BOX = SecretBox("a key for tests")


def make_tenant(db: Database, name: str, **values: object) -> UUID:
    """Creates a tenant and returns its id."""
    tenant_id = new_id()
    with db.begin() as conn:
        conn.execute(insert(Tenant).values(id=tenant_id, name=name, **values))
    return tenant_id


def make_agent(db: Database, name: str = "ada", tenant_id: UUID = DEFAULT_TENANT, **values: object) -> UUID:
    """Creates an agent that runs the command `echo`, and returns its id."""
    agent_id = new_id()
    fields = {"runtime_kind": "command", "runtime": {"kind": "command", "name": "echo"}, "max_triggers": 100_000}
    with db.begin() as conn:
        conn.execute(insert(Agent).values(id=agent_id, tenant_id=tenant_id, name=name, **(fields | values)))
    return agent_id


def make_trigger(db: Database, agent_id: UUID, type: str = "interval", **values: object) -> TriggerView:  # noqa: A002
    """Creates a trigger of an agent of the default tenant; by default, an interval of 60 s."""
    fields: dict[str, object] = {
        "name": f"t{new_id().hex[-8:]}",
        "config": {"seconds": 60} if type == "interval" else {},
    }
    spec = TriggerSpec(type=type, **(fields | values))  # type: ignore[arg-type]
    return Triggers(db, BOX).create(DEFAULT_TENANT, agent_id, spec, actor="test").trigger


def make_due(db: Database, trigger_id: UUID, seconds_ago: float = 0.0) -> None:
    """Moves a trigger's grid and next slot so that the slot was due `seconds_ago`."""
    with db.begin() as conn:
        conn.execute(
            text("""
                WITH moved AS (
                    UPDATE jobs SET next_run_time = clock_timestamp() - make_interval(secs => :ago)
                    WHERE trigger_id = :id AND kind = 'fire' RETURNING next_run_time
                )
                UPDATE triggers SET anchor_at = moved.next_run_time - interval '1 hour' FROM moved WHERE id = :id
            """),
            {"id": trigger_id, "ago": seconds_ago},
        )
