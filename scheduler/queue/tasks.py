"""Our jobs on Procrastinate, always deferred in the transaction that makes them due.

One for up to 50 ready invocations; one for up to 50 due polls, and one for each notification that is sent on, on a
queue of their own, so that neither waits for the other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar
from uuid import UUID

from procrastinate import App, SyncPsycopgConnector
from procrastinate.types import JSONDict
from sqlalchemy import Connection, text

QUEUE = "invocations"
RUN_TASK = "reveille.run_invocation"
IO_QUEUE = "io"
CHECK_TASK = "reveille.check_polls"
DELIVER_TASK = "reveille.deliver_notification"
RUNS_OF_A_JOB = 50

KEEP = text("UPDATE procrastinate_jobs SET args = CAST(:args AS jsonb) WHERE id = :id")

Item = TypeVar("Item")

_deferring = App(connector=SyncPsycopgConnector())
"""Never opened: what is deferred always travels on the connection of the caller's transaction."""


def defer_runs(conn: Connection, runs: Collection[tuple[UUID, int]]) -> None:
    """Queue (invocation id, number of the attempt it is for), up to RUNS_OF_A_JOB in a job, in the transaction.

    Each is for one attempt: one that comes late finds its invocation moved on, and does nothing.
    """
    jobs: list[JSONDict] = [
        {"runs": [[str(each), attempt] for each, attempt in batch]} for batch in batched(runs, RUNS_OF_A_JOB)
    ]
    if jobs:
        task = _deferring.configure_task(RUN_TASK, queue=QUEUE, connection=conn.connection.driver_connection)
        task.batch_defer(*jobs)


def keep_runs(conn: Connection, job_id: int, runs: Collection[tuple[UUID, int]]) -> None:
    """Leave a job that is under way these of its runs: what becomes of them, if its worker is lost, goes by the job."""
    kept = json.dumps({"runs": [[str(each), attempt] for each, attempt in runs]})
    conn.execute(KEEP, {"id": job_id, "args": kept})


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """`items` in lists of `size`, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def defer_checks(conn: Connection, batches: Collection[Sequence[tuple[UUID, int]]]) -> None:
    """Queue a job for each batch of polls, each (trigger id, version), in the caller's transaction."""
    if not batches:
        return
    task = _deferring.configure_task(CHECK_TASK, queue=IO_QUEUE, connection=conn.connection.driver_connection)
    jobs: list[JSONDict] = [{"polls": [[str(each), version] for each, version in batch]} for batch in batches]
    task.batch_defer(*jobs)


def defer_deliveries(conn: Connection, tries: Collection[tuple[UUID, int]]) -> None:
    """Queue a job for each (delivery id, number of the try it is for), in the caller's transaction."""
    if not tries:
        return
    task = _deferring.configure_task(DELIVER_TASK, queue=IO_QUEUE, connection=conn.connection.driver_connection)
    jobs: list[JSONDict] = [{"delivery_id": str(each), "attempt": attempt} for each, attempt in tries]
    task.batch_defer(*jobs)
