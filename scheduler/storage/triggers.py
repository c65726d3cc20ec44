"""Inserts triggers, stops their jobs, and defines their effective time zone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from scheduler.storage.agents import AGENT_ZONE
from scheduler.storage.tables.core import Trigger

TRIGGER_ZONE = f"coalesce(t.config->>'timezone', {AGENT_ZONE})"
"""SQL: the effective time zone of trigger `t` of agent `a` of tenant `n`."""

INSERT = insert(Trigger)

STOP_JOBS = text("""
    UPDATE jobs SET next_run_time = NULL
    WHERE trigger_id = ANY(CAST(:ids AS uuid[])) AND (kind = 'fire' OR CAST(:with_expiry AS boolean))
""")


def insert_trigger(conn: Connection, values: Mapping[str, Any], *, unless_named: bool = False) -> None:
    """Inserts a trigger. `unless_named` skips it when its agent already has one of that name."""
    statement = insert(Trigger).values(values)
    conn.execute(statement.on_conflict_do_nothing() if unless_named else statement)


def insert_triggers(conn: Connection, new: Sequence[Mapping[str, Any]]) -> None:
    """Inserts several triggers with the same columns."""
    conn.execute(INSERT, list(new))


def stop_jobs(conn: Connection, trigger_ids: Collection[UUID], *, with_expiry: bool = False) -> None:
    """Pauses the native jobs of triggers. Expiry jobs stay, unless `with_expiry` is set."""
    conn.execute(STOP_JOBS, {"ids": list(trigger_ids), "with_expiry": with_expiry})


def zone_of(own: str | None, agent_zone: str) -> str:
    """Returns the effective time zone of a trigger: its own, else its agent's.

    Must agree with TRIGGER_ZONE in SQL.
    """
    return own or agent_zone
