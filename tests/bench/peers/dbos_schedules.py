"""DBOS: scheduled workflows of one step, in PostgreSQL."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from dbos import DBOS, DBOSConfig

from tests.bench.peers.spec import read_spec, work

SPEC = read_spec()
CONFIG: DBOSConfig = {"name": "peer", "system_database_url": SPEC.database, "log_level": "ERROR"}
DBOS(config=CONFIG)


@DBOS.workflow()
def run(scheduled: datetime, context: Any) -> None:  # noqa: ARG001  # as DBOS calls it
    """Does one run."""
    step(context)


@DBOS.step()
def step(name: str) -> None:
    """Does its work."""
    work(name)


def main() -> None:
    """Runs until killed."""
    DBOS.launch()
    if SPEC.is_first:
        DBOS.apply_schedules(
            [
                {
                    "schedule_name": name,
                    "workflow_fn": run,
                    "schedule": f"{slot.minute} {slot.hour} {slot.day} {slot.month} *",
                    "context": name,
                    "cron_timezone": "UTC",
                }
                for name, slot in SPEC.in_time()
            ]
        )
    time.sleep(3600)


if __name__ == "__main__":
    main()
