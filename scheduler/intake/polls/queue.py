"""Queues due polls for a worker, in the transaction of the scheduler's pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.firings.new_firing import LockedTrigger, NewFiring
from scheduler.intake.polls.statements import begin_looks
from scheduler.invocations.recovery import STALLED_AFTER
from scheduler.queue.tasks import CANCEL_TASK, IO_QUEUE, defer_cancels, defer_checks
from scheduler.storage.engine import Database

POLLS_OF_A_JOB = 50
LEASE = timedelta(minutes=2)
"""How long a queued poll counts as in progress: a check, its end, and the usual wait in the queue.

If it is queued again later, only the first result is accepted.
"""

DELETE_STALLED = text(f"""
    DELETE FROM procrastinate_jobs j WHERE j.status = 'doing' AND j.queue_name = '{IO_QUEUE}' AND NOT EXISTS (
        SELECT FROM procrastinate_workers w
        WHERE w.id = j.worker_id AND w.last_heartbeat >= now() - CAST(:age AS interval))
    RETURNING j.task_name, j.args
""")  # noqa: S608  # our own constant


def queue_due_polls(conn: Connection, triggers: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
    """Queues a check of each due poll that is not in progress; fires nothing yet."""
    looks = begin_looks(conn, [trigger.id for trigger in triggers], LEASE)
    starts = range(0, len(looks), POLLS_OF_A_JOB)
    defer_checks(conn, [looks[start : start + POLLS_OF_A_JOB] for start in starts])
    return ()


def sweep_checks(db: Database, stalled_after: timedelta = STALLED_AFTER) -> int:
    """Deletes the jobs of dead workers and returns how many. Their polls are checked when next due; runs that they
    were to cancel at their service are left to another worker.

    A separate duty requeues notifications.
    """
    with db.begin() as conn:
        stalled = conn.execute(DELETE_STALLED, {"age": stalled_after}).all()
        defer_cancels(conn, [UUID(job.args["invocation_id"]) for job in stalled if job.task_name == CANCEL_TASK])
    return len(stalled)
