"""The worker process: runs the scheduler, or invocations and checks through Procrastinate, or both, by its role."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from loguru import logger
from procrastinate import App
from procrastinate.app import WorkerOptions
from procrastinate.exceptions import ConnectorException
from sqlalchemy.orm import configure_mappers

from config.settings import Settings, read_variable
from scheduler import bootstrap
from scheduler.domain.clock import SystemClock
from scheduler.domain.roles import Role
from scheduler.intake.polls.check import MAX_OPEN_REQUESTS, Poller
from scheduler.invocations.dispatch import Dispatcher
from scheduler.invocations.recovery import STALLED_AFTER
from scheduler.invocations.remote_cancels import Canceller
from scheduler.manage.triggers.service import Triggers
from scheduler.metrics import serve_metrics
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.notifications.deliveries import Deliverer
from scheduler.queue.pulse import WorkerHeartbeat
from scheduler.queue.tasks import IO_QUEUE, QUEUE
from scheduler.queue.worker import make_check_app, make_worker_app, stop_beating
from scheduler.runtimes.base import RuntimeParts
from scheduler.runtimes.registry import make_runtime
from scheduler.runtimes.transcripts import TranscriptWriter
from scheduler.storage.engine import Database, favor_event_loop
from scheduler.storage.remote_tasks import RemoteTasks
from scheduler.storage.secrets import SecretBox
from scheduler.toolbox.registry import make_tools

DATABASE_CONNECTIONS = 3
DUTY_CONNECTIONS = 2
"""The pool of a process that only schedules: one connection per duty, two of which run at a time."""
WHAT = {
    Role.SCHEDULER: "it schedules",
    Role.INVOKER: "it wakes agents",
    Role.ALL: "it schedules, and wakes agents",
}
OPEN_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""The pauses between restarts of Procrastinate's worker when it ends by itself."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Time limits in seconds. Together they fit into the 30 s that Heroku allows after SIGTERM."""

    poll: float = 0.2
    heartbeat: float = 5.0
    grace: float = 18.0
    """How long runs may continue after SIGTERM.

    Unfinished runs are handed back, which does not count as an attempt.
    """
    limit: float = 25.0
    """When the process ends in any case."""


class Scheduler(Protocol):
    """A running scheduler beside the workers."""

    def shutdown(self) -> None:
        """Stops it. May take seconds."""
        ...


StartScheduler = Callable[[Settings, Database], Scheduler]


def run_worker(
    settings: Settings,
    role: Role = Role.ALL,
    *,
    start_scheduler: StartScheduler = bootstrap.start_scheduler,
    concurrency: int = 200,
    timing: Timing = Timing(),
) -> int:
    """Runs the scheduler, invocations (`concurrency` at once), or both until SIGTERM or SIGINT.

    Returns the exit status. A SIGINT while it stops has it hand its runs back at once. Survives database outages.
    Raises ConfigurationError without a database's address.
    """
    settings.for_server()
    logger.info("The worker starts: {}", WHAT[role])
    serve_metrics(settings)
    size = DATABASE_CONNECTIONS if role.invokes else DUTY_CONNECTIONS
    db = Database(settings.sqlalchemy_url, pool_size=size, application_name="reveille-worker")
    try:
        favor_event_loop()
        configure_mappers()  # SQLAlchemy would do it in the midst of the first wake
        asyncio.run(_serve(settings, role, db, start_scheduler, concurrency, timing))
    finally:
        db.dispose()
    return 0


async def _serve(
    settings: Settings,
    role: Role,
    db: Database,
    start_scheduler: StartScheduler,
    concurrency: int,
    timing: Timing,
) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    parts = [_end_in_time(timing.limit, stopping)]
    if role.schedules:
        parts.append(_schedule(start_scheduler(settings, db), stopping))
    if role.invokes:
        parts.append(_invoke(settings, db, concurrency, timing, stopping))
    await asyncio.gather(*parts)


async def _schedule(scheduler: Scheduler, stopping: asyncio.Event) -> None:
    await stopping.wait()
    await asyncio.to_thread(_shut_down, scheduler)


async def _invoke(
    settings: Settings, db: Database, concurrency: int, timing: Timing, stopping: asyncio.Event
) -> None:
    clock = SystemClock()
    pulse = WorkerHeartbeat(clock)
    allow_private = AllowedPrivate.parse(settings.allow_private_hosts)
    for_agents = allow_private.and_loopback() if settings.is_local else allow_private
    async with (
        GuardedClient(allow_private=allow_private) as client,
        GuardedClient(allow_private=for_agents, keeps_alive=True) as runner,
    ):
        assert settings.secret_key is not None  # noqa: S101  # for_server has seen to it
        box = SecretBox(settings.secret_key.get_secret_value())
        base_url = settings.public_url or settings.url
        tools = make_tools(db, Triggers(db, box, allow_private, settings.permitted), clock, base_url)
        transcripts = TranscriptWriter(db)
        parts = RuntimeParts(
            runner,
            clock,
            settings.commands,
            tools,
            RemoteTasks(db),
            transcripts,
            read_variable=read_variable,
            mcp_commands=settings.mcp_commands,
        )
        dispatcher = _dispatcher(settings, db, box, parts, pulse, concurrency)
        poller = Poller(db, box, client, clock, allow_private, settings.permitted)
        deliverer = Deliverer(db, box, client, clock)
        canceller = Canceller(db, lambda spec: make_runtime(spec, parts), box)
        watching = asyncio.ensure_future(dispatcher.watch())
        # One worker per queue, so that neither waits for the other.
        runs: WorkerOptions = {"queues": [QUEUE], "concurrency": concurrency, **_options(timing)}
        checks: WorkerOptions = {
            **_options(timing),
            "queues": [IO_QUEUE],
            "concurrency": MAX_OPEN_REQUESTS,  # a job may hold a single poll
            "fetch_job_polling_interval": 1.0,
            "listen_notify": False,
        }
        working = [
            asyncio.ensure_future(_keep_working(make_app, options, stopping))
            for make_app, options in (
                (
                    lambda: make_worker_app(
                        settings.libpq_url,
                        settings.listen_url,
                        dispatcher.run,
                        pulse,
                        timing.heartbeat,
                        dispatcher.room,
                        dispatcher.announce,
                    ),
                    runs,
                ),
                (
                    lambda: make_check_app(
                        settings.libpq_url,
                        poller.check,
                        WorkerHeartbeat(clock),
                        deliverer.deliver,
                        canceller.cancel,
                        timing.heartbeat,
                    ),
                    checks,
                ),
            )
        ]
        _collect_less()
        await stopping.wait()
        logger.info("Stopping: runs have {:g} s to end, then they are handed back.", timing.grace)
        dispatcher.is_stopping = True
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, dispatcher.hurry)
        await asyncio.gather(*working)
        watching.cancel()
        dispatcher.close()
        transcripts.close()
        poller.close()
        deliverer.close()


def _collect_less() -> None:
    """Freezes the objects created at startup and runs the garbage collector less often.

    Runs allocate many objects that live as long as the run, and each batch triggered a collection: a fifth of a
    run's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _options(timing: Timing) -> WorkerOptions:
    return {
        "fetch_job_polling_interval": timing.poll,
        "update_heartbeat_interval": timing.heartbeat,
        "stalled_worker_timeout": STALLED_AFTER.total_seconds(),
        "shutdown_graceful_timeout": timing.grace,
        "delete_jobs": "always",
        "install_signal_handlers": False,
    }


def _dispatcher(
    settings: Settings, db: Database, box: SecretBox, parts: RuntimeParts, pulse: WorkerHeartbeat, places: int
) -> Dispatcher:
    return Dispatcher(
        db,
        lambda spec: make_runtime(spec, parts),
        box=box,
        base_url=settings.public_url or settings.url,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        heartbeat_age=pulse.age,
        threads=DATABASE_CONNECTIONS,
        places=places,
        traced=settings.otlp_endpoint is not None,
    )


async def _keep_working(make_app: Callable[[], App], options: WorkerOptions, stopping: asyncio.Event) -> None:
    """Runs Procrastinate's worker until `stopping` is set. Registers and starts a new one if it ends by itself."""
    pause = FIRST_PAUSE
    stop = asyncio.ensure_future(stopping.wait())
    while not stopping.is_set():
        working = asyncio.ensure_future(_work(make_app(), options))
        await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.is_set():
            working.cancel()
        try:
            await working
            pause = FIRST_PAUSE
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001  # whatever it is, the agents have to be run
            no_news = isinstance(error, TimeoutError | ConnectorException)
            logger.opt(exception=not no_news).warning("The worker restarts in {:g} s: {!r}", pause, error)
            await asyncio.wait({stop}, timeout=pause)
            pause = min(pause * 2, LONGEST_PAUSE)
    stop.cancel()


async def _work(app: App, options: WorkerOptions) -> None:
    """Works until cancelled, then finishes or hands back its runs."""
    try:
        # psycopg's pool keeps sleeping after its timeout even when the database is back, so bound the wait here.
        async with asyncio.timeout(OPEN_SECONDS):
            await app.open_async()
        await app.run_worker_async(**options)
    finally:
        stop_beating(app)
        await app.close_async()


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
