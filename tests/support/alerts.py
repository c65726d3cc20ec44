"""Creates each kind of problem, and reads the resulting alerts and notifications."""

from __future__ import annotations

from uuid import UUID

from scheduler.alerts.service import Alerts
from scheduler.alerts.watch import Watch
from scheduler.domain.ids import new_id
from scheduler.domain.run import Failed
from scheduler.storage.engine import Database
from scheduler.storage.tables.alerts import Alert
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_trigger
from tests.support.invocations import close, end, fire, make_agent_with_trigger, start

TARGET = """
    INSERT INTO notification_targets (id, tenant_id, agent_id, name, kind, host, secrets)
    VALUES (gen_random_uuid(), :tenant, :agent, 'ops', 'webhook', 'example.org', ''::bytea)
"""

TOLD = """
    SELECT x.event FROM notification_deliveries d JOIN alert_notices x ON x.id = d.notification_id ORDER BY x.id
"""


def alerts(db: Database, *, is_open: bool | None = True) -> list[Alert]:
    """Returns the tenant's alerts after a check, with a scheduler running."""
    change(db, "DELETE FROM scheduler_processes")
    change(db, "INSERT INTO scheduler_processes (id, name) VALUES (gen_random_uuid(), 'here')")
    up_for_an_hour(db)
    change(db, "UPDATE watch SET last_heartbeat_at = now()")
    Watch(db).look()
    found = Alerts(db).list(DEFAULT_TENANT, is_operator=False, is_open=is_open, limit=100)
    return [*found]


def up_for_an_hour(db: Database) -> None:
    """Lets the service have been up, and checked, for an hour."""
    change(db, "UPDATE watch SET looked_at = now(), since = now() - interval '1 hour'")


def told(db: Database) -> list[str]:
    """Returns the notifications that were sent to targets, oldest first."""
    return [row.event for row in rows(db, TOLD)]


def add_target(db: Database, agent_id: UUID, tenant_id: UUID = DEFAULT_TENANT) -> None:
    change(db, TARGET, tenant=tenant_id, agent=agent_id)


def silent(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "webhook", expect_within=3600.0)
    change(db, "UPDATE triggers SET expected_since = now() - interval '2 hours 5 minutes'")
    return trigger.id


def failing(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "poll", config={"url": "https://example.org", "json_path": "$"})
    change(db, "INSERT INTO poll_states (trigger_id, failures, note) VALUES (:id, 4, 'HTTP 503')", id=trigger.id)
    return trigger.id


def quarantined(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "webhook")
    change(db, "UPDATE triggers SET is_enabled = false, paused_note = 'quarantined: ValueError: bad'")
    return trigger.id


def unsigned(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "webhook")
    for _ in range(3):
        change(
            db,
            "INSERT INTO webhook_deliveries (id, tenant_id, trigger_id, verdict, size) VALUES "
            "(CAST(:delivery AS uuid), :tenant, :trigger, 'bad_signature', 1)",
            delivery=str(new_id()),
            tenant=DEFAULT_TENANT,
            trigger=trigger.id,
        )
    return trigger.id


def asleep(db: Database) -> UUID:
    agent = make_agent(db, expect_wake_within=60.0)
    change(db, "UPDATE agents SET expected_since = now() - interval '3 minutes'")
    return agent


def dead(db: Database, name: str = "ada") -> UUID:
    woken = make_agent_with_trigger(db, name)
    fire(db, woken)
    assert end(db, start(db, close(db).ready[0]), Failed("It is broken.", permanent=True))
    return woken.agent_id


def overdue(db: Database) -> UUID:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    change(db, "UPDATE invocations SET due_at = now() - interval '2 minutes'")
    return woken.agent_id


def spent(db: Database) -> UUID:
    woken = make_agent_with_trigger(db)
    change(db, "UPDATE agents SET max_tokens_per_day = 1000")
    change(
        db,
        "INSERT INTO agent_usage (agent_id, tenant_id, day, tokens_in) "
        "SELECT id, tenant_id, (now() AT TIME ZONE 'UTC')::date, 1000 FROM agents",
    )
    fire(db, woken)
    change(db, "UPDATE invocations SET due_at = NULL, held_reason = 'budget'")
    return woken.agent_id


def drifted(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "interval", config={"seconds": 3600})
    change(db, "DELETE FROM jobs")
    return trigger.id
