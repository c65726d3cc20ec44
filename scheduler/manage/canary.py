"""The canary: a system trigger that wakes a system agent each minute, to time the whole path.

Its tenant is in no list, no budget counts it, and its history is removed after an hour.
"""

from __future__ import annotations

from uuid import UUID

from loguru import logger
from sqlalchemy import Connection, text

from scheduler.domain.errors import Conflict
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.runtimes.canary import CANARY_KIND
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.agents import create_agent
from scheduler.storage.audit import SYSTEM
from scheduler.storage.engine import Database
from scheduler.storage.tenants import CANARY_TENANT

NAME = "canary"
TENANT_NAME = "(canary)"
EVERY_SECONDS = 60
REASON = "Time the way from a slot to an end."
SPEC = TriggerSpec(NAME, "interval", {"seconds": EVERY_SECONDS}, reason=REASON, cooldown_seconds=0.0)

MAKE_TENANT = text("INSERT INTO tenants (id, name, is_system) VALUES (:id, :name, true) ON CONFLICT DO NOTHING")
FIND = text("""
    SELECT a.id AS agent_id, t.id AS trigger_id, t.is_enabled
    FROM agents a LEFT JOIN triggers t ON t.agent_id = a.id AND t.name = :name AND t.is_system AND t.deleted_at IS NULL
    WHERE a.tenant_id = :id ORDER BY a.id LIMIT 1
""")
# Firings first: an invocation is only removed when none of its firings is left.
_OLD = "clock_timestamp() - interval '1 hour'"
REMOVE = (
    text(f"DELETE FROM firings WHERE tenant_id = :id AND fired_at < {_OLD} AND state <> 'pending'"),  # noqa: S608
    text(f"""
        DELETE FROM invocations i WHERE tenant_id = :id AND finished_at < {_OLD}
            AND NOT EXISTS (SELECT FROM firings f WHERE f.invocation_id = i.id)
    """),  # noqa: S608
    text(f"DELETE FROM audit_events WHERE tenant_id = :id AND at < {_OLD}"),  # noqa: S608
)  # our own constant


class Canary:
    """Runs the canary if the operator wants it."""

    def __init__(self, db: Database, triggers: Triggers, *, is_wanted: bool) -> None:
        self._db = db
        self._triggers = triggers
        self._is_wanted = is_wanted

    def look(self) -> None:
        """Creates or stops the canary, and removes its old history. A duty."""
        with self._db.begin() as conn:
            if not try_lock(conn, AdvisoryLock.CANARY):
                return
            found = conn.execute(FIND, {"id": CANARY_TENANT, "name": NAME}).one_or_none()
            if found is None and not self._is_wanted:
                return
            agent_id = _make_agent(conn) if found is None else found.agent_id
            for statement in REMOVE:
                conn.execute(statement, {"id": CANARY_TENANT})
        if found is None or found.trigger_id is None:
            self._make_trigger(agent_id)
        elif found.is_enabled and not self._is_wanted:
            self._triggers.pause(CANARY_TENANT, found.trigger_id, actor=SYSTEM, note="REVEILLE_CANARY")
        elif self._is_wanted and not found.is_enabled:
            self._triggers.resume(CANARY_TENANT, found.trigger_id, actor=SYSTEM)

    def _make_trigger(self, agent_id: UUID) -> None:
        if not self._is_wanted:
            return
        try:
            self._triggers.create(CANARY_TENANT, agent_id, SPEC, actor=SYSTEM, is_system=True)
        except Conflict:
            logger.debug("Another process has made the canary")


def _make_agent(conn: Connection) -> UUID:
    conn.execute(MAKE_TENANT, {"id": CANARY_TENANT, "name": TENANT_NAME})
    values = {"name": NAME, "runtime_kind": CANARY_KIND, "runtime": {}, "dedup_delay_seconds": 0}
    agent_id: UUID = create_agent(conn, CANARY_TENANT, values).id
    return agent_id
