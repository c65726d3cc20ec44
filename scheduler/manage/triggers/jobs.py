"""Writes the job rows of triggers, always with their trigger. Only this module and the scheduler's pass do that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.model import JobKind
from scheduler.firings.quarantine import quarantine_trigger
from scheduler.manage.agents import trigger_limits as agent_made
from scheduler.manage.agents.rights import agent_actor, stopped_by_person
from scheduler.manage.agents.trigger_limits import check_limit
from scheduler.manage.triggers import rows
from scheduler.manage.triggers.due_slots import dropped_event, fire_unseen, settle, skip_due, upcoming
from scheduler.manage.triggers.rows import change_trigger
from scheduler.manage.triggers.spec import StoredTrigger, TriggerWithLimits
from scheduler.storage.agents import AGENT_ZONE
from scheduler.storage.audit import SYSTEM, Event, record_events
from scheduler.storage.engine import SOON, notify
from scheduler.storage.faults import blames_rows
from scheduler.storage.rows import rows_as
from scheduler.storage.triggers import stop_jobs, zone_of
from scheduler.triggers.base import faults_of
from scheduler.triggers.registry import kind_of

PUT_JOB = text("""
    INSERT INTO jobs (trigger_id, kind, next_run_time) VALUES (:id, :kind, :time)
    ON CONFLICT (trigger_id, kind) DO UPDATE SET next_run_time = excluded.next_run_time
""")

IS_DUE_SOON = text("""
    SELECT 1 FROM jobs WHERE trigger_id = :id AND next_run_time <= clock_timestamp() + CAST(:soon AS interval) LIMIT 1
""")


def put_jobs(
    conn: Connection,
    trigger_id: UUID,
    first: datetime | None,
    *,
    timed: bool,
    enabled: bool,
    expires_at: datetime | None,
) -> None:
    """Updates a trigger's jobs to match it: `timed` kinds have a job, paused while the trigger is disabled."""
    if timed:
        conn.execute(PUT_JOB, {"id": trigger_id, "kind": JobKind.FIRE.value, "time": first if enabled else None})
    if expires_at is None:
        conn.execute(text("DELETE FROM jobs WHERE trigger_id = :id AND kind = 'expiry'"), {"id": trigger_id})
    else:
        conn.execute(PUT_JOB, {"id": trigger_id, "kind": JobKind.EXPIRY.value, "time": expires_at})
    if conn.scalar(IS_DUE_SOON, {"id": trigger_id, "soon": SOON}):
        notify(conn)


def start_trigger(conn: Connection, row: TriggerWithLimits) -> None:
    """Enables a locked trigger, whose agent is locked too. It starts counting fires from zero.

    Raises Conflict when it has expired, has no slot left, or exceeds the agent's limit.
    """
    first = rows.first_run_of(row)
    if not row.is_system:
        check_limit(conn, row)
    change_trigger(
        conn, row.id, is_enabled=True, paused_note=None, paused_by=None, **rows.fresh_start(row.type, row.now)
    )
    put_jobs(conn, row.id, first, timed=row.job_kind is not None, enabled=True, expires_at=row.expires_at)


def pause_trigger(
    conn: Connection, row: TriggerWithLimits, actor: str, note: str | None = None, *, by_agent: bool = False
) -> None:
    """Disables a locked trigger.

    If it is already disabled, only the note may change, except while it needs approval. A person's pause overrides
    an agent's pause and an end: then only a person can resume it.
    """
    paused_by = agent_actor(row.agent_id) if by_agent else actor
    needs_approval = row.approval not in (None, agent_made.APPROVED)
    if row.is_enabled or (note is not None and not needs_approval):
        change_trigger(conn, row.id, is_enabled=False, paused_note=note or "paused", paused_by=paused_by)
        stop_jobs(conn, [row.id])
        rows.audit(conn, "paused", row.tenant_id, row.agent_id, row.id, actor, note=note)
    elif not (by_agent or needs_approval or stopped_by_person(row)):
        change_trigger(conn, row.id, paused_by=paused_by)
        rows.audit(conn, "paused", row.tenant_id, row.agent_id, row.id, actor, note=None)


def resume_trigger(conn: Connection, row: TriggerWithLimits, actor: str) -> None:
    """Enables a disabled trigger that is locked with its agent. Raises Conflict when it may not."""
    if not row.is_enabled:
        agent_made.check_approved(row.approval)
        start_trigger(conn, row)
        rows.audit(conn, "resumed", row.tenant_id, row.agent_id, row.id, actor)


def end_at_max_fires(conn: Connection, row: StoredTrigger, actor: str, *, by_agent: bool) -> None:
    """Ends a trigger that has reached its new max_fires. If a person set it, its agent cannot restart it."""
    paused_by = None if by_agent else actor
    change_trigger(conn, row.id, is_enabled=False, paused_note="max_fires", paused_by=paused_by)
    rows.audit(conn, "finished", row.tenant_id, row.agent_id, row.id, actor, why="max_fires")


REMOVE = text("""
    UPDATE triggers SET deleted_at = clock_timestamp(), updated_at = clock_timestamp(), is_enabled = false,
        token_hash = NULL
    WHERE id = ANY(CAST(:ids AS uuid[]))
""")


def remove_jobs(conn: Connection, trigger_ids: Sequence[UUID]) -> None:
    """Deletes the jobs of deleted triggers."""
    conn.execute(text("DELETE FROM jobs WHERE trigger_id = ANY(CAST(:ids AS uuid[]))"), {"ids": list(trigger_ids)})


LOCK_JOBS_OF = """
    SELECT 1 FROM jobs j JOIN triggers t ON t.id = j.trigger_id
    WHERE t.deleted_at IS NULL AND {where} ORDER BY j.trigger_id, j.kind FOR UPDATE OF j
"""

LOCK_TRIGGERS_OF = f"""
    SELECT t.*, {AGENT_ZONE} AS agent_zone, clock_timestamp() AS now,
        f.next_run_time
    FROM triggers t JOIN agents a ON a.id = t.agent_id JOIN tenants n ON n.id = t.tenant_id
        LEFT JOIN jobs f ON f.trigger_id = t.id AND f.kind = 'fire'
    WHERE t.deleted_at IS NULL AND {{where}} ORDER BY t.id FOR UPDATE OF t
"""  # noqa: S608  # our own constant


def lock_triggers_of(conn: Connection, where: str, values: Mapping[str, Any]) -> list[StoredTrigger]:
    """Locks the triggers `t` matching the SQL `where`, jobs first."""
    conn.execute(text(LOCK_JOBS_OF.format(where=where)), values)
    return rows_as(StoredTrigger, conn.execute(text(LOCK_TRIGGERS_OF.format(where=where)), values))


def delete_agent_triggers(conn: Connection, agent_ids: Sequence[UUID], *, actor: str) -> int:
    """Soft-deletes all triggers of agents and their jobs; returns how many.

    Due slots are audited as skipped: with the agents gone nobody is woken.
    """
    rows = lock_triggers_of(conn, "t.agent_id = ANY(CAST(:ids AS uuid[]))", {"ids": list(agent_ids)})
    skip_due(conn, rows, why="deleted", actor=actor)
    remove_triggers(conn, rows, actor=actor)
    return len(rows)


def lock_all_settled(
    conn: Connection, tenant_id: UUID, trigger_ids: Sequence[UUID], *, because: str, actor: str
) -> list[StoredTrigger]:
    """Locks triggers that are about to end, fires what they have not seen yet, and settles their due slots."""
    where = "t.tenant_id = :tenant_id AND t.id = ANY(CAST(:ids AS uuid[]))"
    values = {"tenant_id": tenant_id, "ids": list(trigger_ids)}
    fire_unseen(conn, lock_triggers_of(conn, where, values))
    found = lock_triggers_of(conn, where, values)
    while settle(conn, found, because=because, actor=actor):
        found = lock_triggers_of(conn, where, values)
    return found


def remove_triggers(conn: Connection, found: Sequence[StoredTrigger], *, actor: str) -> None:
    """Soft-deletes locked triggers, and deletes their jobs."""
    ids = [row.id for row in found]
    conn.execute(REMOVE, {"ids": ids})
    remove_jobs(conn, ids)
    record_events(
        conn,
        [
            Event("trigger.deleted", row.tenant_id, row.id, row.agent_id, actor, {"name": row.name})
            for row in found
        ],
    )


def rezone_agent(conn: Connection, agent_id: UUID) -> int:
    """Moves an agent's triggers to their new effective zone; returns how many moved."""
    return _rezone(conn, "t.agent_id = :id", agent_id)


def rezone_tenant(conn: Connection, tenant_id: UUID) -> int:
    """Moves a tenant's triggers to their new effective zone; returns how many moved."""
    return _rezone(conn, "t.tenant_id = :id", tenant_id)


def finish_trigger(conn: Connection, row: StoredTrigger, actor: str = SYSTEM) -> None:
    """Ends a locked trigger whose last slot has passed, as expired if its expiry has passed too."""
    why = "expired" if row.expires_at is not None and row.expires_at <= row.now else "finished"
    change_trigger(conn, row.id, is_enabled=False, paused_note=why)
    stop_jobs(conn, [row.id])
    rows.audit(conn, why, row.tenant_id, row.agent_id, row.id, actor, why=why)


def _rezone(conn: Connection, where: str, owner_id: UUID) -> int:
    """Moves triggers in the transaction that changed the owner's zone, so that both take effect together."""
    values = {"id": owner_id}
    moving = [row for row in lock_triggers_of(conn, where, values) if effective_zone(row) != row.zone]
    moved = {row.id for row in moving}
    settled = set(settle(conn, moving, because="moved to another zone"))
    if settled:
        moving = [row for row in lock_triggers_of(conn, where, values) if row.id in moved]
    for row in moving:
        try:
            with conn.begin_nested():
                move_to_effective_zone(conn, row, settled=row.id in settled)
        except Exception as error:
            if not blames_rows(error):
                raise
            quarantine_trigger(conn, row.id, error)
    return len(moved)


def effective_zone(row: StoredTrigger) -> str:
    """Returns a trigger's effective zone: its own, its agent's or its tenant's, in this order."""
    return zone_of(row.config.get("timezone"), row.agent_zone)


def move_to_effective_zone(conn: Connection, row: StoredTrigger, *, settled: bool) -> None:
    """Moves a locked trigger to its effective zone; ends it if no slot is left there.

    `settled`: due slots have just been settled. If its last slot was among them it is ended, as a pass a moment
    earlier would have ended it: a `once` does not fire again because its agent moved west.
    """
    zone = effective_zone(row)
    change_trigger(conn, row.id, zone=zone)
    if not row.is_enabled:
        return
    config = kind_of(row.type).model_construct(**row.config)
    with faults_of(row.type):
        if config.checked_by or config.schedule(zone, row.anchor_at, row.id) is None:
            return
    if settled and row.next_run_time is None:
        finish_trigger(conn, row)
        return
    with faults_of(row.type):
        following, dropped = upcoming(row, config, zone, row.anchor_at)
    put_jobs(conn, row.id, following, timed=True, enabled=True, expires_at=row.expires_at)
    if dropped is not None:
        record_events(conn, [dropped_event(row, dropped, SYSTEM)])
    if following is None:
        finish_trigger(conn, row)
    elif row.max_fires is not None and row.fire_count >= row.max_fires:
        stop_jobs(conn, [row.id])
        end_at_max_fires(conn, row, SYSTEM, by_agent=True)
