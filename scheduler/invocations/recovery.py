"""Recovers invocations after a crash or a lost message: two duties, each a testable pass.

Every repair is its own transaction and checks again under its locks, so that it cannot damage concurrent work. A
try lock per duty keeps several processes from doing the same at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.model import InvocationState
from scheduler.domain.run import Failed
from scheduler.invocations.budgets import held_for_nothing
from scheduler.invocations.ends import LockedAttempt, conclude, conclude_all, lock_attempt, lock_attempts
from scheduler.invocations.lifecycle import end_without_report
from scheduler.invocations.replay import attach, join_window
from scheduler.invocations.transitions import freeing
from scheduler.queue.tasks import RUN_TASK, defer_runs
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.audit import record_event
from scheduler.storage.engine import Database, notify
from scheduler.storage.pauses import SERVICE_IS_PAUSED
from scheduler.storage.read_models.spans import first_id_sql
from scheduler.storage.tables.core import IS_ACTIVE

T = TypeVar("T")

STALLED_AFTER = timedelta(seconds=30)
"""The age of a worker's last heartbeat at which its jobs count as lost. The worker itself gives up at 20 s."""


WORKER_LOST = Failed("The worker that ran this attempt is gone.", reason="worker_lost")


STALLED = text(f"""
    SELECT j.id FROM procrastinate_jobs j LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
    WHERE j.status = 'doing' AND j.task_name = '{RUN_TASK}'
        AND (w.id IS NULL OR w.last_heartbeat < now() - CAST(:age AS interval))
    ORDER BY j.id
""")  # noqa: S608  # our own constant

# Earlier versions queued one invocation per job, named in a different argument.
_RUNS = """jsonb_array_elements(coalesce(j.args->'runs',
        jsonb_build_array(jsonb_build_array(j.args->'invocation_id', j.args->'attempt')))) AS r"""

TAKE_STALLED = text(f"""
    DELETE FROM procrastinate_jobs j WHERE j.id = :id AND j.status = 'doing' AND NOT EXISTS (
        SELECT FROM procrastinate_workers w
        WHERE w.id = j.worker_id AND w.last_heartbeat >= now() - CAST(:age AS interval))
    RETURNING ARRAY(SELECT CAST(r->>0 AS uuid) FROM {_RUNS}) AS ids,
        ARRAY(SELECT CAST(r->>1 AS int) FROM {_RUNS}) AS attempts
""")  # noqa: S608

AWAITING_TO_END = text("""
    SELECT id FROM invocations WHERE state = 'awaiting' AND (cancel_requested OR deadline_at <= clock_timestamp())
        AND (CAST(:id AS uuid) IS NULL OR id = :id)
""")

WITHOUT_JOB = text(f"""
    SELECT i.id FROM invocations i
    WHERE i.state IN ('ready', 'running') AND (CAST(:id AS uuid) IS NULL OR i.id = :id) AND i.id NOT IN (
        SELECT CAST(r->>0 AS uuid) FROM procrastinate_jobs j, {_RUNS}
        WHERE j.task_name = '{RUN_TASK}' AND j.status IN ('todo', 'doing'))
""")  # noqa: S608

HELD_FOR_NOTHING = text(f"""
    SELECT i.id FROM invocations i LEFT JOIN agents a ON a.id = i.agent_id LEFT JOIN tenants n ON n.id = i.tenant_id
    WHERE i.state IN ('collecting', 'retrying') AND i.due_at IS NULL AND CASE coalesce(i.held_reason, '')
        WHEN '' THEN true
        WHEN 'paused' THEN NOT coalesce(
            (a.is_paused OR n.is_paused OR {SERVICE_IS_PAUSED}) AND a.deleted_at IS NULL, false)
        WHEN 'busy' THEN NOT EXISTS (
            SELECT FROM invocations o
            WHERE o.agent_id = i.agent_id AND o.{IS_ACTIVE})
        WHEN 'budget' THEN i.held_until IS NULL
        END
""")  # noqa: S608

FREE = text(freeing("id = :id AND state IN ('collecting', 'retrying') AND due_at IS NULL"))

# Ids are UUIDv7: they start with the milliseconds since 1970, so the primary key's index finds the new ones.
STRANDED = text(f"""
    SELECT f.agent_id, f.tenant_id, array_agg(f.id ORDER BY f.id) AS ids
    FROM firings f LEFT JOIN invocations i ON i.id = f.invocation_id
    WHERE f.state = 'pending' AND (i.id IS NULL OR i.state IN ('succeeded', 'dead', 'skipped', 'cancelled'))
        AND f.id >= coalesce(
            (SELECT {first_id_sql("now() - CAST(:newer_than AS interval)")}),
            '00000000-0000-0000-0000-000000000000')
        AND (CAST(:agent_id AS uuid) IS NULL OR f.agent_id = :agent_id)
    GROUP BY f.agent_id, f.tenant_id
""")  # noqa: S608

LEFTOVER_JOBS = text(f"""
    DELETE FROM procrastinate_jobs j WHERE j.status = 'doing' AND j.task_name = '{RUN_TASK}' AND NOT EXISTS (
        SELECT FROM {_RUNS} JOIN invocations i ON i.id = CAST(r->>0 AS uuid)
        WHERE i.attempt <= CAST(r->>1 AS int)
            AND (i.finished_at IS NULL OR i.finished_at > now() - interval '1 minute'))
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What one sweep did."""

    stalled: int = 0
    """Jobs taken from dead workers."""
    awaited: int = 0
    """Awaiting invocations that ended: cancelled, or past their deadline."""


@dataclass(slots=True)
class ReconcileResult:
    """What one reconcile pass found and repaired; normally all zero."""

    requeued: int = 0
    """Ready invocations without a live job, which got one."""
    lost: int = 0
    """Running invocations without a live job, which were retried or became dead."""
    freed: int = 0
    """Windows held without an active invocation, a pause or a spent budget, which became due."""
    rescued: int = 0
    """Pending firings whose invocation is missing or ended, which were put into their agent's window."""
    overdue: int = 0
    """Awaiting invocations past their deadline, which is normal: the sweep ends them as well."""
    leftover_jobs: int = 0
    """Jobs that a worker could not delete after their invocation had ended."""
    is_whole: bool = True
    """False: another process was doing the same, and part was left to it."""


class RepairCount(NamedTuple):
    """How many repairs were made, and whether none was left to another process."""

    number: int
    is_whole: bool


def sweep_stalled(db: Database, stalled_after: timedelta = STALLED_AFTER) -> SweepResult:
    """Takes over from dead workers, and ends expired waits. Runs every 15 s."""
    age = {"age": stalled_after}
    with db.begin() as conn:
        job_ids = conn.execute(STALLED, age).scalars().all()
    stalled = _each(db, AdvisoryLock.SWEEP, job_ids, lambda conn, job_id: _take_stalled(conn, job_id, age))
    return SweepResult(stalled.number, _end_awaiting(db, AdvisoryLock.SWEEP).number)


def reconcile(db: Database, newer_than: timedelta | None = timedelta(hours=1)) -> ReconcileResult:
    """Checks invariants and repairs violations. Runs at start and every 5 minutes.

    Checks firings that are `newer_than`; None checks all of them, at the cost of reading them.
    """
    newer = {"newer_than": newer_than}
    with db.begin() as conn:
        without_job = conn.execute(WITHOUT_JOB, {"id": None}).scalars().all()
        held = [*conn.execute(HELD_FOR_NOTHING).scalars(), *held_for_nothing(conn)]
        stranded = [row.agent_id for row in conn.execute(STRANDED, newer | {"agent_id": None})]

    def rescue(conn: Connection, agent_id: UUID) -> int:
        return _rescue(conn, newer | {"agent_id": agent_id})

    lock = AdvisoryLock.RECONCILE
    done = {
        "overdue": _end_awaiting(db, AdvisoryLock.RECONCILE),
        "requeued": _each(db, lock, without_job, _requeue),
        "lost": _each(db, lock, without_job, _give_up),
        "freed": _each(db, lock, held, _free),
        "rescued": _each(db, lock, stranded, rescue),
        "leftover_jobs": _each(
            db, AdvisoryLock.RECONCILE, [None], lambda conn, _: conn.execute(LEFTOVER_JOBS).rowcount
        ),
    }
    counts: dict[str, Any] = {name: each.number for name, each in done.items()}
    found = ReconcileResult(**counts, is_whole=all(each.is_whole for each in done.values()))
    repairs: dict[str, Any] = {name: count for name, count in counts.items() if name != "overdue"}
    if any(repairs.values()):
        with db.begin() as conn:
            record_event(conn, action="invocation.repaired", tenant_id=None, **repairs)
    return found


def _each(
    db: Database, lock: AdvisoryLock, items: Sequence[T], repair: Callable[[Connection, T], int]
) -> RepairCount:
    """Repairs each item in its own transaction and counts the repairs.

    Stops, leaving the rest, when another process is doing the same.
    """
    done = 0
    for item in items:
        with db.begin() as conn:
            if not try_lock(conn, lock):
                return RepairCount(done, False)
            done += repair(conn, item)
    return RepairCount(done, True)


def _take_stalled(conn: Connection, job_id: int, age: dict[str, timedelta]) -> int:
    """Deletes a lost worker's job together with its effect on the invocation."""
    job = conn.execute(TAKE_STALLED, age | {"id": job_id}).one_or_none()
    if job is None:
        return 0
    attempts = dict(zip(job.ids, job.attempts, strict=True))
    tries = lock_attempts(conn, attempts)
    # Fetched, but lost before they were claimed:
    ready = [each for each in tries.values() if each.state is InvocationState.READY]
    lost = [each for each in ready if each.attempt + 1 == attempts[each.id]]
    defer_runs(conn, [(each.tenant_id, each.id, each.attempt + 1) for each in lost])
    running = [each for each in tries.values() if each.state is InvocationState.RUNNING]
    conclude_all(conn, [(each, WORKER_LOST) for each in running if each.attempt == attempts[each.id]])
    return 1


def _end_awaiting(db: Database, lock: AdvisoryLock) -> RepairCount:
    with db.begin() as conn:
        ids = conn.execute(AWAITING_TO_END, {"id": None}).scalars().all()
    return _each(db, lock, ids, _end_one_awaiting)


def _end_one_awaiting(conn: Connection, invocation_id: UUID) -> int:
    current = lock_attempt(conn, invocation_id)
    if current is None or conn.execute(AWAITING_TO_END, {"id": invocation_id}).first() is None:
        return 0
    conclude(conn, current, end_without_report(conn, invocation_id))
    return 1


def _requeue(conn: Connection, invocation_id: UUID) -> int:
    current = _without_job(conn, invocation_id, InvocationState.READY)
    if current is None:
        return 0
    defer_runs(conn, [(current.tenant_id, current.id, current.attempt + 1)])
    return 1


def _give_up(conn: Connection, invocation_id: UUID) -> int:
    current = _without_job(conn, invocation_id, InvocationState.RUNNING)
    if current is None:
        return 0
    conclude(conn, current, WORKER_LOST)
    return 1


def _without_job(conn: Connection, invocation_id: UUID, state: InvocationState) -> LockedAttempt | None:
    """Locks and returns the invocation if it is in `state` and still has no live job."""
    current = lock_attempt(conn, invocation_id)
    if current is None or current.state is not state:
        return None
    return current if conn.execute(WITHOUT_JOB, {"id": invocation_id}).first() else None


def _free(conn: Connection, invocation_id: UUID) -> int:
    """Frees the window. Harmless even if it was held again meanwhile: the next pass decides under its locks."""
    freed = conn.execute(FREE, {"id": invocation_id}).rowcount
    if freed:
        notify(conn)
    return freed


def _rescue(conn: Connection, which: dict[str, object]) -> int:
    """Puts an agent's stranded firings into its window.

    Reads them again here, as another process may have been first.
    """
    stranded = conn.execute(STRANDED, which).one_or_none()
    if stranded is None:
        return 0
    window_id = join_window(conn, stranded.tenant_id, stranded.agent_id, len(stranded.ids))
    attach(conn, window_id, stranded.ids)
    return len(stranded.ids)
