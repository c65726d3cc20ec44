"""Tries of polls in the audit trail, and the pace that they keep: each is a request to where its caller likes."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.errors import LimitReached
from scheduler.storage.audit import Event, record_events
from scheduler.triggers.poll import PollConfig

ACTION = "trigger.tried"
OF_A_CALLER = 30
OF_A_TENANT = 120
SPAN = timedelta(minutes=1)

NEWEST = text("""
    SELECT actor, clock_timestamp() - at AS age FROM audit_events
    WHERE tenant_id = :tenant_id AND action = :action ORDER BY id DESC LIMIT :most
""")


def record_try(
    conn: Connection,
    tenant_id: UUID,
    actor: str,
    config: PollConfig,
    *,
    trigger_id: UUID | None,
    agent_id: UUID | None,
) -> None:
    """Note that a poll is about to be tried, by whom and where. Raises LimitReached beyond the pace of a minute."""
    found = conn.execute(NEWEST, {"tenant_id": tenant_id, "action": ACTION, "most": OF_A_TENANT})
    recent = [(row.actor, row.age) for row in found if row.age < SPAN]
    own = [age for who, age in recent if who == actor]
    if len(own) >= OF_A_CALLER or len(recent) >= OF_A_TENANT:
        counted = own[:OF_A_CALLER] if len(own) >= OF_A_CALLER else [age for _, age in recent]
        raise LimitReached(
            f"Polls were tried {len(counted)} times within a minute; wait, or make the trigger.",
            retry_after=(SPAN - counted[-1]).total_seconds(),
        )
    url = urlsplit(config.url)
    detail = {"method": config.method, "url": f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"}
    record_events(conn, [Event(ACTION, tenant_id, trigger_id, agent_id, actor, detail)])
