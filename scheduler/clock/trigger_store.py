"""The `default` job store: one native job for each time trigger, with its id, and one for each expiry."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from apscheduler.jobstores.base import ConflictingIdError, JobLookupError
from sqlalchemy import Connection, func, select, text

from scheduler.clock.heartbeat import Heartbeat
from scheduler.clock.jobs import Advance, LedgerJob, ScheduleTrigger, build_job, job_id, split_job_id
from scheduler.clock.ledger_store import LedgerStore
from scheduler.clock.trigger_pass import EXECUTOR, TriggerPass
from scheduler.domain.clock import Clock
from scheduler.domain.errors import NotFound
from scheduler.domain.model import JobKind
from scheduler.firings.quarantine import quarantine_trigger
from scheduler.manage.agents.trigger_limits import check_approved
from scheduler.manage.triggers.due_slots import lock_settled
from scheduler.manage.triggers.jobs import remove_jobs
from scheduler.manage.triggers.rows import change_trigger, fresh_start, lock_trigger
from scheduler.manage.triggers.spec import TriggerWithLimits
from scheduler.storage.audit import record_event
from scheduler.storage.engine import Database, notify
from scheduler.storage.pipelines import Answer, send_along
from scheduler.storage.rows import row_as, rows_as
from scheduler.storage.tables.core import Job as JobRow
from scheduler.storage.tables.core import Trigger

NEXT_DUE = text("""
    SELECT extract(epoch FROM min(next_run_time) - clock_timestamp())::float8 FROM jobs
    WHERE next_run_time IS NOT NULL
""")

# Selects the same row as the pass's claim would, but reads only ids, which always works.
FIRST_DUE = text("""
    SELECT trigger_id, kind FROM jobs WHERE next_run_time <= (SELECT clock_timestamp())
    ORDER BY next_run_time LIMIT 1 FOR UPDATE SKIP LOCKED
""")


class TriggerStore(LedgerStore):
    """The store of trigger jobs.

    `scheduler.manage.triggers.service` creates their rows with their triggers, not `add_job`.
    """

    max_rows = 4000  # about 0.3 s from claim to commit
    overlaps = True

    def __init__(self, db: Database, clock: Clock, heartbeat: Heartbeat) -> None:
        super().__init__(db, clock)
        self._heartbeat = heartbeat

    # ---- the pass -----------------------------------------------------------------------------------------

    def new_pass(self, conn: Connection) -> TriggerPass:
        """Creates a pass over the due trigger jobs, which also writes the heartbeat."""
        return TriggerPass(conn, self._heartbeat)

    def ask_next_due(self, conn: Connection) -> Answer:
        """Asks for the seconds until the earliest job."""
        return send_along(conn, NEXT_DUE)

    def first_due_id(self, conn: Connection) -> str | None:
        """Returns the job that has been due longest."""
        row = conn.execute(FIRST_DUE).one_or_none()
        return None if row is None else job_id(row.trigger_id, JobKind(row.kind))

    def quarantine(self, conn: Connection, job_id: str, error: BaseException) -> None:
        """Disables the trigger and stores why."""
        quarantine_trigger(conn, split_job_id(job_id)[0], error)

    # ---- APScheduler's own calls between passes -------------------------------------------------------------

    def lookup_job(self, job_id: str) -> LedgerJob | None:
        """Returns the job with this id."""
        trigger_id, kind = split_job_id(job_id)
        with self._db.begin() as conn:
            row = row_as(
                _ListedRow, conn.execute(LISTED.where(JobRow.trigger_id == trigger_id, JobRow.kind == kind.value))
            )
        return None if row is None else self._listed_job(row)

    def get_all_jobs(self) -> list[LedgerJob]:
        """Returns all jobs, paused ones last. An unreadable row is shown without a schedule, never deleted."""
        with self._db.begin() as conn:
            rows = rows_as(
                _ListedRow, conn.execute(LISTED.order_by(JobRow.next_run_time.nulls_last(), JobRow.trigger_id))
            )
        return [self._listed_job(row) for row in rows]

    def add_job(self, job: LedgerJob) -> None:
        """Refuses: a job without its trigger row would fire nothing."""
        if self.lookup_job(job.id) is not None:
            raise ConflictingIdError(job.id)
        raise TypeError(
            "A trigger's job is made together with its trigger: use scheduler.manage.triggers.service.Triggers."
        )

    def update_job(self, job: LedgerJob) -> None:
        """Inside a pass does nothing, as the claim has everything; else pauses, resumes or reschedules job and
        trigger.

        Settles due slots first. Raises Conflict when that would enable an unapproved trigger.
        """
        if self.in_pass:
            return
        trigger_id, kind = split_job_id(job.id)
        with self._db.begin() as conn:
            if kind is JobKind.FIRE:
                before, settled = self._settle_one(conn, job.id, trigger_id, because="updated")
                if settled.next_run_time != before.next_run_time == job.next_run_time:
                    job.next_run_time = settled.next_run_time  # the time was not changed
            changed = conn.execute(
                text("UPDATE jobs SET next_run_time = :time WHERE trigger_id = :id AND kind = :kind"),
                {"time": job.next_run_time, "id": trigger_id, "kind": kind.value},
            )
            if not changed.rowcount:
                raise JobLookupError(job.id)
            if kind is JobKind.FIRE:
                self._follow(conn, trigger_id, job)
            notify(conn)

    def remove_job(self, job_id: str) -> None:
        """Inside a pass does nothing, as the claim ends the job; else deletes the job and, softly, its trigger."""
        if self.in_pass:
            return
        trigger_id, kind = split_job_id(job_id)
        with self._db.begin() as conn:
            if kind is JobKind.FIRE:
                self._settle_one(conn, job_id, trigger_id, because="deleted")
            which = {"id": trigger_id, "kind": kind.value}
            removed = conn.execute(text("DELETE FROM jobs WHERE trigger_id = :id AND kind = :kind"), which)
            if not removed.rowcount:
                raise JobLookupError(job_id)
            if kind is JobKind.FIRE:
                remove_jobs(conn, [trigger_id])  # its expiry job too
                change_trigger(conn, trigger_id, deleted_at=func.clock_timestamp(), is_enabled=False)
                self._audit(conn, trigger_id, "trigger.deleted")

    def _settle_one(
        self, conn: Connection, job_id: str, trigger_id: UUID, *, because: str
    ) -> tuple[TriggerWithLimits, TriggerWithLimits]:
        """Returns the trigger before and after its due slots were settled. Raises JobLookupError."""
        tenant_id = conn.scalar(select(Trigger.tenant_id).where(Trigger.id == trigger_id))
        try:
            if tenant_id is None:
                raise JobLookupError(job_id)
            before = lock_trigger(conn, tenant_id, trigger_id)
            return before, lock_settled(conn, tenant_id, trigger_id, because=because, last_look=True)
        except NotFound:
            raise JobLookupError(job_id) from None

    def remove_all_jobs(self) -> None:
        """Refuses: one call would delete every trigger."""
        raise TypeError("Removing all jobs would delete every trigger; delete triggers one by one.")

    def _follow(self, conn: Connection, trigger_id: UUID, job: LedgerJob) -> None:
        """Updates the trigger row after its job was changed through the scheduler.

        Raises Conflict, which rolls the change back, when that would enable an unapproved trigger.
        """
        before = conn.execute(LOCKED.where(Trigger.id == trigger_id)).one()
        values: dict[str, Any] = {"is_enabled": job.next_run_time is not None}
        if isinstance(job.trigger, ScheduleTrigger):
            values |= {"type": job.trigger.type, "config": job.trigger.config}
            values |= {"zone": job.trigger.zone, "anchor_at": job.trigger.anchor}
        verb = "updated"
        if job.next_run_time is None and before.is_enabled:
            values["paused_note"], verb = "paused in the scheduler", "paused"
        elif job.next_run_time is not None and not before.is_enabled:
            check_approved(before.approval)
            values |= {"paused_note": None, **fresh_start(before.type, before.now)}
            verb = "resumed"
        change_trigger(conn, trigger_id, **values)
        self._audit(conn, trigger_id, f"trigger.{verb}")

    def _audit(self, conn: Connection, trigger_id: UUID, action: str) -> None:
        owner = conn.execute(select(Trigger.tenant_id, Trigger.agent_id).where(Trigger.id == trigger_id)).one()
        record_event(
            conn, action=action, tenant_id=owner.tenant_id, subject_id=trigger_id, agent_id=owner.agent_id
        )

    def _listed_job(self, row: _ListedRow) -> LedgerJob:
        job = build_job(
            job_id(row.trigger_id, JobKind(row.kind)),
            name=row.name,
            executor=EXECUTOR,
            trigger=_listed_trigger(row),
            next_run_time=row.next_run_time,
        )
        job._scheduler = self._scheduler  # noqa: SLF001  # what BaseJobStore asks of a store
        job._jobstore_alias = self._alias  # noqa: SLF001
        return job


LOCKED = select(
    Trigger.is_enabled, Trigger.approval, Trigger.type, func.clock_timestamp().label("now")
).with_for_update()

LISTED = (
    select(JobRow.trigger_id, JobRow.kind, JobRow.next_run_time)
    .add_columns(Trigger.name, Trigger.type, Trigger.config, Trigger.zone, Trigger.anchor_at)
    .join(Trigger, Trigger.id == JobRow.trigger_id)
)


class _ListedRow(NamedTuple):
    """A job with the fields that its trigger's schedule depends on."""

    trigger_id: UUID
    kind: str
    next_run_time: datetime | None
    name: str
    type: str
    config: dict[str, Any]
    zone: str
    anchor_at: datetime


def _listed_trigger(row: _ListedRow) -> ScheduleTrigger | Advance:
    if row.kind == JobKind.EXPIRY:
        return Advance(row.next_run_time)
    try:
        return ScheduleTrigger(row.type, row.config, row.zone, row.anchor_at, row.trigger_id)
    except Exception:  # noqa: BLE001  # a row that cannot be read must not hide the others
        return Advance(None)
