"""Workers that took jobs and then disappeared."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from scheduler.storage.engine import Database

OLD, FRESH = timedelta(seconds=31), timedelta(seconds=9)


def fetch_all_jobs(db: Database, heartbeat_age: timedelta) -> int:
    """Takes all jobs as a worker whose last heartbeat is too old, and returns its id."""
    with db.begin() as conn:
        worker_id = conn.execute(text("SELECT * FROM procrastinate_register_worker_v1()")).scalar_one()
        conn.execute(
            text(
                "UPDATE procrastinate_workers SET last_heartbeat = now() - CAST(:age AS interval) WHERE id = :id"
            ),
            {"age": heartbeat_age, "id": worker_id},
        )
        conn.execute(
            text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :id WHERE status = 'todo'"),
            {"id": worker_id},
        )
    return int(worker_id)
