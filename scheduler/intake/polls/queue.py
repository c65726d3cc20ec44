"""Due polls on their way to a worker: queued by the scheduler's pass, in its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, text

from scheduler.firings.new_firing import NewFiring
from scheduler.firings.trigger_locks import LockedTrigger
from scheduler.intake.polls.statements import begin_looks
from scheduler.invocations.recovery import STALLED_AFTER
from scheduler.queue.tasks import IO_QUEUE, defer_checks
from scheduler.storage.engine import Database

POLLS_OF_A_JOB = 50
LEASE = timedelta(minutes=2)
"""How long a poll counts as being looked at: a look, its end, and the usual wait in the queue.

Should it be queued again after that, only the result that comes first is taken.
"""

DELETE_STALLED = text(f"""
    DELETE FROM procrastinate_jobs j WHERE j.status = 'doing' AND j.queue_name = '{IO_QUEUE}' AND NOT EXISTS (
        SELECT FROM procrastinate_workers w
        WHERE w.id = j.worker_id AND w.last_heartbeat >= now() - CAST(:age AS interval))
""")  # noqa: S608  # our own constant


def queue_due_polls(conn: Connection, triggers: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
    """Queue a look at each due poll that is not being looked at; nothing is fired yet."""
    looks = begin_looks(conn, [trigger.id for trigger in triggers], LEASE)
    starts = range(0, len(looks), POLLS_OF_A_JOB)
    defer_checks(conn, [looks[start : start + POLLS_OF_A_JOB] for start in starts])
    return ()


def sweep_checks(db: Database, stalled_after: timedelta = STALLED_AFTER) -> int:
    """Delete the jobs of workers that are gone; returns how many. Their polls are looked at when next due.

    Notifications on their way are queued again by a duty of their own.
    """
    with db.begin() as conn:
        return conn.execute(DELETE_STALLED, {"age": stalled_after}).rowcount
