"""Native jobs without a pickle, built from a row. They know their run time and what was decided for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.triggers.base import BaseTrigger

from scheduler.domain.model import JobKind
from scheduler.triggers.registry import kind_of

EXPIRY_PREFIX = "expiry:"


class ScheduleTrigger(BaseTrigger):
    """A trigger kind's config as an APScheduler trigger, for `get_jobs()` and `reschedule_job`."""

    __slots__ = ("anchor", "config", "schedule", "type", "zone")

    def __init__(
        self, kind_name: str, config: Mapping[str, Any], zone: str, anchor: datetime, seed: UUID | None = None
    ) -> None:
        """`config` as stored, `seed` the trigger's id; raises ValueError for a kind without a native job."""
        schedule = kind_of(kind_name).model_construct(**config).schedule(zone, anchor, seed)
        if schedule is None:
            raise ValueError(f"a {kind_name} trigger has no native job")
        self.type = kind_name
        self.config = dict(config)
        self.zone = zone
        self.anchor = anchor
        self.schedule = schedule

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Returns the first slot after both the previous one and `now`."""
        return self.schedule.next_after(max(previous_fire_time, now) if previous_fire_time else now)

    def __str__(self) -> str:
        return f"{self.type}{self.config}"


class Advance(BaseTrigger):
    """A claimed job's next run, decided by the database's clock at the claim.

    APScheduler passes the process's clock to the trigger; if that is ahead, a slot would be skipped.
    """

    __slots__ = ("next_run_time",)

    def __init__(self, next_run_time: datetime | None) -> None:
        self.next_run_time = next_run_time

    def get_next_fire_time(
        self,
        previous_fire_time: datetime | None,
        now: datetime,
    ) -> datetime | None:
        """Returns the decided time; None ends the job."""
        return self.next_run_time


class LedgerJob(Job):
    """A job defined by a row of ours. `claim` holds what its store decided when it was due.

    Everything that all jobs share is on the class, since a pass creates thousands.
    """

    __slots__ = ("claim",)

    claim: Any
    func = None
    func_ref = ""
    args = ()
    kwargs: Mapping[str, Any] = MappingProxyType({})
    coalesce = True
    misfire_grace_time = None
    max_instances = 1

    def _get_run_times(self, now: datetime) -> list[datetime]:
        """Returns only the stored slot: the misfire policy has already handled later slots in the claim."""
        return [self.next_run_time]

    def _modify(self, **changes: Any) -> None:
        """Applies `changes` unchecked: they come from a row or from another job, both checked before."""
        for name, value in changes.items():
            setattr(self, name, value)


def build_job(
    job_id: str,
    *,
    name: str,
    executor: str,
    trigger: BaseTrigger,
    next_run_time: datetime | None,
    claim: Any = None,
) -> LedgerJob:
    """Builds a job for its store. Skips Job.__init__, which checks callables, as there are none."""
    job: LedgerJob = Job.__new__(LedgerJob)
    job.id = job_id
    job.name = name
    job.trigger = trigger
    job.executor = executor
    job.next_run_time = next_run_time
    job.claim = claim
    return job


def job_id(trigger_id: UUID | str, kind: JobKind) -> str:
    """Returns the native job's id: the trigger's own, prefixed with `expiry:` for the job that expires it."""
    return f"{EXPIRY_PREFIX}{trigger_id}" if kind is JobKind.EXPIRY else str(trigger_id)


def split_job_id(text_id: str) -> tuple[UUID, JobKind]:
    """Parses an id from `job_id`. Raises JobLookupError for any other id."""
    kind = JobKind.EXPIRY if text_id.startswith(EXPIRY_PREFIX) else JobKind.FIRE
    try:
        return UUID(text_id.removeprefix(EXPIRY_PREFIX)), kind
    except ValueError:
        raise JobLookupError(text_id) from None
