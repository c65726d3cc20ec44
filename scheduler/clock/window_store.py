"""The `windows` job store: its table is `invocations`, its jobs are the windows and retries that are due to start.

No row is kept twice: a window *is* its job, a date job whose run closes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from apscheduler.jobstores.base import JobLookupError
from apscheduler.triggers.date import DateTrigger
from sqlalchemy import Connection, Row, text

from scheduler.clock.jobs import Advance, LedgerJob, build_job
from scheduler.clock.ledger_store import LedgerPass, LedgerStore
from scheduler.domain.model import HeldReason
from scheduler.invocations.windows import claim_due_windows, close_windows, next_window_due_in
from scheduler.storage.audit import record_event
from scheduler.storage.faults import quarantine_note

WINDOWS = "windows"

LISTED = """
    SELECT id, due_at FROM invocations WHERE state IN ('collecting', 'retrying')
"""


class WindowPass(LedgerPass):
    """Closes the windows, and starts the retries, that are due."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(conn)
        self._submitted: list[Row[Any]] = []

    def claim(self, limit: int) -> Sequence[LedgerJob]:
        """Lock the windows and retries that are due."""
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
        """Collect a window for `write`."""
        self._submitted.append(job.claim)

    def prepare(self) -> None:
        """Nothing: the database decides what becomes of a window."""

    def write(self) -> None:
        """Close the windows: ready with their Procrastinate jobs, or held."""
        close_windows(self.conn, self._submitted)


class WindowStore(LedgerStore):
    """Windows open, fill and change elsewhere; here they only come due."""

    def new_pass(self, conn: Connection) -> WindowPass:
        """A pass over the due windows."""
        return WindowPass(conn)

    def next_due_in(self, conn: Connection) -> float | None:
        """Seconds to the next close."""
        return next_window_due_in(conn)

    def quarantine(self, conn: Connection, job_id: str, error: BaseException) -> None:
        """Hold the window: its firings are kept, a person has to look."""
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
        """The open window or waiting retry with this id."""
        try:
            window_id = UUID(job_id)
        except ValueError:
            return None
        with self._db.begin() as conn:
            row = conn.execute(text(f"{LISTED} AND id = :id"), {"id": window_id}).one_or_none()
        return None if row is None else self._listed(row.id, row.due_at)

    def get_all_jobs(self) -> list[LedgerJob]:
        """Every open window and waiting retry, held ones last."""
        with self._db.begin() as conn:
            rows = conn.execute(text(f"{LISTED} ORDER BY due_at NULLS LAST, id")).all()
        return [self._listed(row.id, row.due_at) for row in rows]

    def add_job(self, job: LedgerJob) -> None:
        """Refused: only a firing opens a window."""
        raise TypeError("A window is opened by a firing; it cannot be added.")

    def update_job(self, job: LedgerJob) -> None:
        """Refused between passes: a window's time follows from its firings."""
        if not self.in_pass:
            raise TypeError("A window's time follows from its firings; it cannot be changed.")

    def remove_job(self, job_id: str) -> None:
        """In a pass: nothing, `write` closes it. Else refused: its firings would be lost."""
        if not self.in_pass:
            if self.lookup_job(job_id) is None:
                raise JobLookupError(job_id)
            raise TypeError("A window holds firings; cancel its invocation instead of removing the job.")

    def remove_all_jobs(self) -> None:
        """Refused, as for one."""
        raise TypeError("Windows hold firings; cancel their invocations instead of removing the jobs.")

    def _listed(self, window_id: UUID, due_at: datetime | None) -> LedgerJob:
        trigger = Advance(None) if due_at is None else DateTrigger(due_at)
        job = build_job(str(window_id), name="window", executor=WINDOWS, trigger=trigger, next_run_time=due_at)
        job._scheduler = self._scheduler  # noqa: SLF001  # what BaseJobStore asks of a store
        job._jobstore_alias = self._alias  # noqa: SLF001
        return job
