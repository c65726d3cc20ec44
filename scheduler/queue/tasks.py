"""Defers Procrastinate jobs, always in the transaction that makes them due.

One job holds up to 50 ready invocations or 50 due polls, one outgoing notification, or one run to cancel at its
service. All but the invocations use a queue of their own, so that they and the invocations do not wait for each other.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TypeVar
from uuid import UUID

from procrastinate import App, SyncPsycopgConnector
from procrastinate.jobs import Job
from procrastinate.types import JSONDict, JSONValue
from sqlalchemy import Connection, text

from scheduler.storage.arrays import uuid_array
from scheduler.storage.pipelines import send_along

QUEUE = "invocations"
RUN_TASK = "reveille.run_invocation"
IO_QUEUE = "io"
CHECK_TASK = "reveille.check_polls"
DELIVER_TASK = "reveille.deliver_notification"
CANCEL_TASK = "reveille.cancel_remote_run"
RUNS_OF_A_JOB = 50

KEEP = text("UPDATE procrastinate_jobs SET args = CAST(:args AS jsonb) WHERE id = :id")

DELAY = text("""
    UPDATE procrastinate_jobs SET scheduled_at = clock_timestamp() + make_interval(secs => :delay)
    WHERE id = ANY(CAST(:ids AS bigint[]))
""")
STARTED = text("""
    SELECT tenant_id, count(*) AS started FROM invocations
    WHERE tenant_id = ANY(CAST(:tenant_ids AS uuid[])) AND state IN ('ready', 'running') GROUP BY tenant_id
""")

Item = TypeVar("Item")
Run = tuple[UUID, int]
"""An invocation's id and the attempt number."""

_deferring = App(connector=SyncPsycopgConnector())
"""Never opened: jobs are always deferred on the connection of the caller's transaction."""


class Capacity(Enum):
    """What a worker can take."""

    ANY = "any job"
    SMALL = "a small job"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RunsJob:
    """A job in progress that runs invocations."""

    id: int | None = None
    priority: int = 0
    waits: int = 0
    """How often its runs had to wait for other runs of their tenant or host."""


def defer_runs(conn: Connection, runs: Collection[tuple[UUID, UUID, int]]) -> None:
    """Defers runs as (tenant id, invocation id, attempt), up to RUNS_OF_A_JOB per job.

    Each run is for one attempt: if it comes late, the invocation has moved on and it does nothing. A job belongs
    to one tenant, and the more of the tenant's invocations are ready or running, the lower its priority, so that
    tenants with few go first. Call this after the statement that made the invocations ready, in the same transaction.
    """
    if not runs:
        return
    by_tenant: dict[UUID, list[Run]] = defaultdict(list)
    for tenant_id, invocation_id, attempt in runs:
        by_tenant[tenant_id].append((invocation_id, attempt))
    started: dict[UUID, int] = dict(send_along(conn, STARTED, tenant_ids=uuid_array(by_tenant)).all())
    others = {each: count - len(by_tenant[each]) for each, count in started.items()}
    _defer(
        conn,
        [
            (-((max(others.get(tenant_id, 0), 0) + place) // RUNS_OF_A_JOB), {"runs": _as_args(batch)})
            for tenant_id, theirs in by_tenant.items()
            for place, batch in zip(
                range(0, len(theirs), RUNS_OF_A_JOB), batched(theirs, RUNS_OF_A_JOB), strict=True
            )
        ],
    )


def defer_rest(conn: Connection, runs: Collection[Run], priority: int, waits: int, delay: float) -> None:
    """Defers again, with the given priority, what a job could not run, to be fetched after `delay` seconds at the
    earliest.

    `waits` counts how often this has happened.
    """
    ids = _defer(conn, [(priority, {"runs": _as_args(runs), "waits": waits})])
    if delay:
        conn.execute(DELAY, {"ids": ids, "delay": delay})


def _defer(conn: Connection, jobs: Sequence[tuple[int, JSONDict]]) -> list[int | None]:
    made = _deferring.job_manager.batch_defer_jobs(
        [
            Job(
                queue=QUEUE, task_name=RUN_TASK, lock=None, queueing_lock=None, priority=priority, task_kwargs=args
            )
            for priority, args in jobs
        ],
        connection=conn.connection.driver_connection,
    )
    return [job.id for job in made]


def _as_args(runs: Collection[Run]) -> list[JSONValue]:
    return [[str(each), attempt] for each, attempt in runs]


def keep_runs(conn: Connection, job_id: int, runs: Collection[Run]) -> None:
    """Reduces a job in progress to these runs, which decide what is recovered if its worker is lost."""
    kept = json.dumps({"runs": _as_args(runs)})
    conn.execute(KEEP, {"id": job_id, "args": kept})


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Splits `items` into lists of `size`; the last one may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def defer_checks(conn: Connection, batches: Collection[Sequence[tuple[UUID, int]]]) -> None:
    """Defers a job for each batch of polls, given as (trigger id, version), in the caller's transaction."""
    if not batches:
        return
    task = _deferring.configure_task(CHECK_TASK, queue=IO_QUEUE, connection=conn.connection.driver_connection)
    jobs: list[JSONDict] = [{"polls": [[str(each), version] for each, version in batch]} for batch in batches]
    task.batch_defer(*jobs)


def defer_deliveries(conn: Connection, tries: Collection[tuple[UUID, int]]) -> None:
    """Defers a job for each (delivery id, attempt) in the caller's transaction."""
    if not tries:
        return
    task = _deferring.configure_task(DELIVER_TASK, queue=IO_QUEUE, connection=conn.connection.driver_connection)
    jobs: list[JSONDict] = [{"delivery_id": str(each), "attempt": attempt} for each, attempt in tries]
    task.batch_defer(*jobs)


def defer_cancels(conn: Connection, invocation_ids: Collection[UUID]) -> None:
    """Defers a job for each ended invocation whose run goes on elsewhere, in the caller's transaction."""
    if not invocation_ids:
        return
    task = _deferring.configure_task(CANCEL_TASK, queue=IO_QUEUE, connection=conn.connection.driver_connection)
    jobs: list[JSONDict] = [{"invocation_id": str(each)} for each in invocation_ids]
    task.batch_defer(*jobs)
