"""APScheduler 4 (alpha): schedules in PostgreSQL, scheduler and worker in one process."""

from __future__ import annotations

from apscheduler import Scheduler
from apscheduler.datastores.sqlalchemy import SQLAlchemyDataStore
from apscheduler.triggers.date import DateTrigger
from sqlalchemy import create_engine

from tests.bench.peers.spec import read_spec, work


def main() -> None:
    """Schedules until killed."""
    spec = read_spec()
    engine = create_engine(spec.database.replace("postgresql:", "postgresql+psycopg:"))
    with Scheduler(SQLAlchemyDataStore(engine)) as scheduler:
        if spec.is_first:
            for name, slot in spec.in_time():
                scheduler.add_schedule(work, DateTrigger(slot), id=name, args=[name], misfire_grace_time=None)
        scheduler.run_until_stopped()


if __name__ == "__main__":
    main()
