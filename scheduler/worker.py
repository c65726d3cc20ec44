"""A worker process: runs the scheduler, or jobs of the queue, or both, by its role."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from loguru import logger
from sqlalchemy.orm import configure_mappers

from config.settings import Settings, shared_metrics
from scheduler import bootstrap
from scheduler.domain.roles import Jobs, Role
from scheduler.invoker import DATABASE_CONNECTIONS, Invoker, Timing
from scheduler.metrics import serve_metrics
from scheduler.signs_of_life import give_signs_of_life
from scheduler.storage.engine import Database, favor_event_loop

DUTY_CONNECTIONS = 2
"""The pool of a process that only schedules: one connection per duty, two of which run at a time."""
LOW_PRIORITY = 10
"""What a process of large jobs adds to its niceness (`nice(2)`): on a busy machine the others go first."""
WHAT = {
    Jobs.ANY: "wakes agents",
    Jobs.SMALL: "wakes agents of tenants with few due",
    Jobs.LARGE: "wakes agents of tenants with many due, checks polls, notifies",
}


DEFAULT_TIMING = Timing()


class Scheduler(Protocol):
    """A running scheduler beside the jobs."""

    def shutdown(self) -> None:
        """Stops it. May take seconds."""
        ...


StartScheduler = Callable[[Settings, Database], Scheduler]


def run_worker(
    settings: Settings,
    role: Role = Role.ALL,
    jobs: Jobs = Jobs.ANY,
    *,
    start_scheduler: StartScheduler = bootstrap.start_scheduler,
    concurrency: int = 200,
    timing: Timing = DEFAULT_TIMING,
) -> int:
    """Runs the scheduler, `jobs` of the queue (`concurrency` agents at once), or both until SIGTERM or SIGINT.

    Returns the exit status. A SIGINT while it stops has it hand its runs back at once. Survives database outages.
    Raises ConfigurationError without a database's address.
    """
    settings.for_server()
    does = ["schedules"] * role.schedules + [WHAT[jobs]] * role.invokes
    logger.info("The worker starts: it {}", ", and ".join(does))
    if role is Role.INVOKER and jobs is Jobs.LARGE:
        _lower_priority()
    serve_metrics(settings)
    size = DATABASE_CONNECTIONS if role.invokes else DUTY_CONNECTIONS
    db = Database(settings.sqlalchemy_url, pool_size=size, application_name="reveille-worker")
    try:
        favor_event_loop()
        configure_mappers()  # SQLAlchemy would do it in the midst of the first wake
        invoker = Invoker(settings, db, jobs, concurrency, timing) if role.invokes else None
        asyncio.run(_serve(settings, role, db, start_scheduler, invoker, timing.limit))
    finally:
        db.dispose()
    return 0


def _lower_priority() -> None:
    """Lets other processes go first on a busy machine. Where Linux groups processes by session, niceness counts only
    within the group, which has a niceness of its own (sched(7), "The autogroup feature").
    """
    os.nice(LOW_PRIORITY)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(LOW_PRIORITY), encoding="ascii")


async def _serve(
    settings: Settings,
    role: Role,
    db: Database,
    start_scheduler: StartScheduler,
    invoker: Invoker | None,
    limit: float,
) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    watched = shared_metrics()
    alive = asyncio.ensure_future(give_signs_of_life(Path(watched))) if watched else None
    parts = [_end_in_time(limit, stopping)]
    if role.schedules:
        parts.append(_schedule(start_scheduler(settings, db), stopping))
    if invoker is not None:
        parts.append(invoker.work(stopping))
    await asyncio.gather(*parts)
    if alive is not None:
        alive.cancel()


async def _schedule(scheduler: Scheduler, stopping: asyncio.Event) -> None:
    await stopping.wait()
    await asyncio.to_thread(_shut_down, scheduler)


def _shut_down(scheduler: Scheduler) -> None:
    try:
        scheduler.shutdown()
    except Exception as error:  # noqa: BLE001  # it must not keep the runs from being handed back
        logger.opt(exception=error).warning("The scheduler did not stop cleanly")


async def _end_in_time(seconds: float, stopping: asyncio.Event) -> None:
    """Ends the process a fixed time after SIGTERM even if a thread hangs. The sweeper recovers its runs."""
    await stopping.wait()
    timer = threading.Timer(seconds, os._exit, [1])
    timer.daemon = True
    timer.start()
