"""Our jobs on Procrastinate: one for each ready invocation, deferred in the transaction that makes it ready."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from procrastinate import App, SyncPsycopgConnector
from procrastinate.types import JSONDict
from sqlalchemy import Connection

QUEUE = "invocations"
RUN_TASK = "reveille.run_invocation"

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
