"""The processes of a worker: the scheduler, small jobs and large jobs each have one of their own.

In one process they would share an interpreter, in which each of the many steps of a single wake waits for its turn
among those of a flood (docs/decisions/0016).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from config.settings import Settings, child_environment, with_shared_metrics
from scheduler.children import Child
from scheduler.domain.roles import Jobs, Role
from scheduler.metrics import serve_metrics
from scheduler.shared_metrics import SharedMetrics
from scheduler.storage.connection_limit import read_connection_limit
from scheduler.supervisor import Console, Supervisor, stop_signals

ENOUGH_CONNECTIONS = 50
"""Three processes take 18, two web servers and a release 9; the rest is for as many again during a deployment."""
PAUSE_SECONDS = 1.0
SCHEDULER = ("--role", Role.SCHEDULER.value)
SMALL_JOBS = ("--role", Role.INVOKER.value, "--jobs", Jobs.SMALL.value)
LARGE_JOBS = ("--role", Role.INVOKER.value, "--jobs", Jobs.LARGE.value)


def processes_of(settings: Settings, role: Role) -> list[Sequence[str]]:
    """Returns the options of each process of a worker with this role; none if it is to be one process.

    Waits while the database does not answer, if it decides.
    """
    if role is Role.SCHEDULER or settings.worker_processes == "one":
        return []
    if settings.worker_processes == "auto" and (limit := _limit(settings)) < ENOUGH_CONNECTIONS:
        logger.info("The worker is one process, as the database allows only {} connections", limit)
        return []
    return [SCHEDULER] * role.schedules + [SMALL_JOBS, LARGE_JOBS]


def run_processes(settings: Settings, processes: Sequence[Sequence[str]]) -> int:
    """Runs the command of this process once with each of these options, which win over its own, until SIGTERM or
    SIGINT.

    Starts again what ends by itself, and serves the metrics of all. Returns the exit status.
    """
    console = Console(sys.stderr)
    with stop_signals() as stop, tempfile.TemporaryDirectory(prefix="reveille-metrics-") as shared:
        environment = {**child_environment(settings), **with_shared_metrics(shared)}
        children = [
            Child(
                f"worker {' '.join(options)}",
                [sys.executable, *sys.orig_argv[1:], *options],
                cwd=Path.cwd(),
                environment=environment,
                write=console.write,
                prefixed=False,
            )
            for options in processes
        ]
        serve_metrics(settings, SharedMetrics(Path(shared), lambda: [each.pid for each in children if each.pid]))
        return Supervisor(children, None, stop).run()


def _limit(settings: Settings) -> int:
    said = False
    while (limit := read_connection_limit(settings.sqlalchemy_url)) is None:
        if not said:
            logger.warning("The worker waits for the database")
            said = True
        time.sleep(PAUSE_SECONDS)
    return limit
