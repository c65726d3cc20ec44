"""`python -m tests.acceptance.worker_process`: a real worker with short waits, to keep tests short."""

from __future__ import annotations

import sys
from datetime import timedelta

from config.settings import Settings, load_settings
from scheduler.bootstrap import SchedulerRunner
from scheduler.clock.scheduler import Duty
from scheduler.invocations.recovery import reconcile, sweep_stalled
from scheduler.invoker import Timing
from scheduler.storage.engine import Database
from scheduler.worker import run_worker

STALLED_AFTER = timedelta(seconds=2)


def start_scheduler(settings: Settings, db: Database) -> SchedulerRunner:
    """The product's scheduler, which sweeps twice a second for workers that were silent for two."""
    duties = [
        Duty("sweep stalled workers", 0.5, lambda: sweep_stalled(db, STALLED_AFTER)),
        Duty("reconcile invocations", 5, lambda: reconcile(db)),
    ]
    runner = SchedulerRunner(settings, duties)
    runner.start()
    return runner


if __name__ == "__main__":
    timing = Timing(heartbeat=0.5, grace=float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    sys.exit(run_worker(load_settings(), start_scheduler=start_scheduler, timing=timing))
