"""The `windows` job store: its table is `invocations`, its jobs are the windows and retries to start.

Nothing is stored twice: a window *is* its job, a date job that closes it when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from apscheduler.jobstores.base import JobLookupError
from apscheduler.triggers.date import DateTrigger
from sqlalchemy import Connection, text

from scheduler.clock.jobs import Advance, LedgerJob, build_job
from scheduler.clock.ledger_pass import LedgerPass
from scheduler.clock.ledger_store import LedgerStore
from scheduler.domain.model import HeldReason
from scheduler.invocations.budgets import DueWindow
from scheduler.invocations.windows import ask_next_due, claim_due_windows, close_windows
from scheduler.storage.audit import record_event
from scheduler.storage.faults import quarantine_note
from scheduler.storage.pipelines import Answer

WINDOWS = "windows"

LISTED = """
    SELECT id, due_at FROM invocations WHERE state IN ('collecting', 'retrying')
"""


class WindowPass(LedgerPass):
    """Closes due windows and starts due retries."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(conn)
        self._submitted: list[DueWindow] = []

    def claim(self, limit: int) -> Sequence[LedgerJob]:
        """Locks the due windows and retries."""
        return [
            build_job(
                str(window.id),
                name=f"window of agent {window.agent_id}",
                executor=WINDOWS,
                trigger=Advance(None),
                next_run_time=window.due_at,
                claim=window,
            )
            for window in claim_due_windows(self.conn, limit, leaves_few=self.leaves_few)
        ]

    def submit(self, job: LedgerJob) -> None:
        """Collects a window for `write`."""
        self._submitted.append(job.claim)

    def prepare(self) -> None:
        """Does nothing: the database decides how a window closes."""

    def write(self) -> None:
        """Closes the windows: they become ready with their Procrastinate jobs, or are held."""
        close_windows(self.conn, self._submitted)


class WindowStore(LedgerStore):
    """The store of windows. They are opened, filled and changed elsewhere; here they only come due."""

    def new_pass(self, conn: Connection) -> WindowPass:
        """Creates a pass over the due windows."""
        return WindowPass(conn)

    def ask_next_due(self, conn: Connection) -> Answer:
        """Asks for the seconds until the next window closes."""
        return ask_next_due(conn)

    def quarantine(self, conn: Connection, job_id: str, error: BaseException) -> None:
        """Holds the window: its firings are kept, and a person has to look at it."""
        row = conn.execute(
            text("UPDATE invocations SET due_at = NULL, held_reason = :reason WHERE id = :id RETURNING *"),
            {"id": UUID(job_id), "reason": HeldReason.QUARANTINED.value},
        ).one()
        record_event(
            conn,
            action="invocation.quarantined",
            tenant_id=row.tenant_id,
            subject_id=row.id,
            agent_id=row.agent_id,
            why=quarantine_note(error),
        )

    def lookup_job(self, job_id: str) -> LedgerJob | None:
        """Returns the open window or waiting retry with this id."""
        try:
            window_id = UUID(job_id)
        except ValueError:
            return None
        with self._db.begin() as conn:
            row = conn.execute(text(f"{LISTED} AND id = :id"), {"id": window_id}).one_or_none()
        return None if row is None else self._listed(row.id, row.due_at)

    def get_all_jobs(self) -> list[LedgerJob]:
        """Returns every open window and waiting retry, held ones last."""
        with self._db.begin() as conn:
            rows = conn.execute(text(f"{LISTED} ORDER BY due_at NULLS LAST, id")).all()
        return [self._listed(row.id, row.due_at) for row in rows]

    def add_job(self, job: LedgerJob) -> None:
        """Refuses: only a firing opens a window."""
        raise TypeError("A window is opened by a firing; it cannot be added.")

    def update_job(self, job: LedgerJob) -> None:
        """Refuses between passes: a window's time follows from its firings."""
        if not self.in_pass:
            raise TypeError("A window's time follows from its firings; it cannot be changed.")

    def remove_job(self, job_id: str) -> None:
        """Inside a pass does nothing, as `write` closes it; else refuses, as its firings would be lost."""
        if not self.in_pass:
            if self.lookup_job(job_id) is None:
                raise JobLookupError(job_id)
            raise TypeError("A window holds firings; cancel its invocation instead of removing the job.")

    def remove_all_jobs(self) -> None:
        """Refuses, like `remove_job`."""
        raise TypeError("Windows hold firings; cancel their invocations instead of removing the jobs.")

    def _listed(self, window_id: UUID, due_at: datetime | None) -> LedgerJob:
        trigger = Advance(None) if due_at is None else DateTrigger(due_at)
        job = build_job(str(window_id), name="window", executor=WINDOWS, trigger=trigger, next_run_time=due_at)
        job._scheduler = self._scheduler  # noqa: SLF001  # what BaseJobStore asks of a store
        job._jobstore_alias = self._alias  # noqa: SLF001
        return job
