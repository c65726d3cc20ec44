"""APScheduler 3.11 by itself: jobs in PostgreSQL, run by ten threads."""

from __future__ import annotations

import time
from datetime import UTC

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from tests.bench.peers.spec import read_spec, work


def main() -> None:
    """Schedules until killed."""
    spec = read_spec()
    scheduler = BackgroundScheduler(
        timezone=UTC,
        jobstores={"default": SQLAlchemyJobStore(url=spec.database.replace("postgresql:", "postgresql+psycopg:"))},
        executors={"default": ThreadPoolExecutor(10)},
        job_defaults={"misfire_grace_time": None},
    )
    scheduler.start(paused=spec.is_first)
    if spec.is_first:
        for name, slot in spec.in_time():
            scheduler.add_job(work, "date", [name], run_date=slot, id=name)
        scheduler.resume()
    time.sleep(3600)


if __name__ == "__main__":
    main()
