"""Our jobs on Procrastinate, always deferred in the transaction that makes them due.

One for each ready invocation; one for up to 50 due polls, and one for each notification that is sent on, on a queue of
their own, so that neither waits for the other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from procrastinate import App, SyncPsycopgConnector
from procrastinate.types import JSONDict
from sqlalchemy import Connection

QUEUE = "invocations"
RUN_TASK = "reveille.run_invocation"
IO_QUEUE = "io"
CHECK_TASK = "reveille.check_polls"
DELIVER_TASK = "reveille.deliver_notification"

_deferring = App(connector=SyncPsycopgConnector())
"""Never opened: what is deferred always travels on the connection of the caller's transaction."""


def defer_runs(conn: Connection, runs: Collection[tuple[UUID, int]]) -> None:
    """Queue a job for each (invocation id, number of the attempt it is for), in the caller's transaction.

    A job is that of one attempt: one that comes late finds its invocation moved on, and does nothing.
    """
    if not runs:
        return
    task = _deferring.configure_task(RUN_TASK, queue=QUEUE, connection=conn.connection.driver_connection)
    jobs: list[JSONDict] = [{"invocation_id": str(each), "attempt": attempt} for each, attempt in runs]
    task.batch_defer(*jobs)


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
