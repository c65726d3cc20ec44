"""Creates the demo: an agent and two triggers, so that a new installation has something to show."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from config.settings import Settings
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.agents import create_agent
from scheduler.storage.audit import SYSTEM, record_event
from scheduler.storage.engine import Database
from scheduler.storage.secrets import SecretBox

COMMAND = "demo"
PROGRAM = Path(__file__).with_name("demo_agent.py")
TICK = TriggerSpec(
    "tick", "interval", {"seconds": 20}, reason="Show that time wakes me.", max_fires=3, cooldown_seconds=0.0
)
DOORBELL = TriggerSpec("doorbell", "webhook", {}, reason="Somebody rang.", cooldown_seconds=0.0)


@dataclass(frozen=True)
class Demo:
    """The demo's agent, its interval trigger, and its webhook with a token that is shown only this once."""

    agent_id: UUID
    hook_token: str


def with_demo_command(settings: Settings) -> Settings:
    """Returns `settings` with the demo agent's program added to the operator's allowed commands."""
    program = [sys.executable, str(PROGRAM)]
    return settings.model_copy(update={"commands": {COMMAND: program, **settings.commands}})


def make_demo(db: Database, box: SecretBox, tenant_id: UUID) -> Demo | None:
    """Creates the demo agent in a database that has never had an agent; returns None otherwise."""
    with db.begin() as conn:
        if conn.scalar(text("SELECT EXISTS (SELECT FROM agents WHERE runtime_kind <> 'canary')")):
            return None
        values = {
            "name": "demo",
            "runtime_kind": "command",
            "runtime": {"name": COMMAND},
            "dedup_delay_seconds": 5,
        }
        agent = create_agent(conn, tenant_id, values)
        record_event(
            conn, action="agent.created", tenant_id=tenant_id, subject_id=agent.id, agent_id=agent.id, actor=SYSTEM
        )
    triggers = Triggers(db, box)
    triggers.create(tenant_id, agent.id, TICK, actor=SYSTEM)
    doorbell = triggers.create(tenant_id, agent.id, DOORBELL, actor=SYSTEM)
    return Demo(agent.id, str(doorbell.hook_token))
