"""Wakes agents, and checks polls, sends notifications and cancels runs elsewhere: the jobs of the queue."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from loguru import logger
from procrastinate import App
from procrastinate.app import WorkerOptions
from procrastinate.exceptions import ConnectorException

from config.settings import Settings, read_variable
from scheduler.domain.clock import SystemClock
from scheduler.domain.roles import Jobs
from scheduler.intake.polls.check import MAX_OPEN_REQUESTS, Poller
from scheduler.invocations.dispatch import Dispatcher
from scheduler.invocations.recovery import STALLED_AFTER
from scheduler.invocations.remote_cancels import Canceller
from scheduler.manage.triggers.service import Triggers
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.notifications.deliveries import Deliverer
from scheduler.queue.pulse import WorkerHeartbeat
from scheduler.queue.tasks import IO_QUEUE, QUEUE
from scheduler.queue.worker import make_check_app, make_worker_app, stop_beating
from scheduler.runtimes.base import RuntimeParts
from scheduler.runtimes.registry import make_runtime
from scheduler.runtimes.transcripts import TranscriptWriter
from scheduler.storage.engine import Database
from scheduler.storage.remote_tasks import RemoteTasks
from scheduler.storage.secrets import SecretBox
from scheduler.toolbox.registry import make_tools

DATABASE_CONNECTIONS = 3
"""The size of its pool."""
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


class Invoker:
    """Takes jobs from the queue until it is told to stop, then ends its runs or hands them back."""

    def __init__(self, settings: Settings, db: Database, jobs: Jobs, places: int, timing: Timing) -> None:
        """`places`: how many agents it runs at once."""
        self._settings = settings
        self._db = db
        self._jobs = jobs
        self._places = places
        self._timing = timing
        self._clock = SystemClock()
        self._allow_private = AllowedPrivate.parse(settings.allow_private_hosts)
        assert settings.secret_key is not None  # noqa: S101  # for_server has seen to it
        self._box = SecretBox(settings.secret_key.get_secret_value())

    async def work(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set and everything has ended or was handed back."""
        for_agents = self._allow_private.and_loopback() if self._settings.is_local else self._allow_private
        async with AsyncExitStack() as open_until_end:
            runner = await open_until_end.enter_async_context(
                GuardedClient(allow_private=for_agents, keeps_alive=True)
            )
            transcripts = TranscriptWriter(self._db)
            open_until_end.callback(transcripts.close)
            parts = self._runtime_parts(runner, transcripts)
            pulse = WorkerHeartbeat(self._clock)
            dispatcher = self._dispatcher(parts, pulse)
            open_until_end.callback(dispatcher.close)
            watching = asyncio.ensure_future(dispatcher.watch())
            # One worker per queue, so that neither waits for the other.
            working = [self._keep_working(self._runs_app(dispatcher, pulse), self._of_runs(), stopping)]
            if self._jobs is not Jobs.SMALL:
                client = await open_until_end.enter_async_context(GuardedClient(allow_private=self._allow_private))
                checks = self._checks_app(client, parts, open_until_end)
                working.append(self._keep_working(checks, self._of_checks(), stopping))
            tasks = [asyncio.ensure_future(each) for each in working]
            _collect_less()
            await stopping.wait()
            logger.info("Stopping: runs have {:g} s to end, then they are handed back.", self._timing.grace)
            dispatcher.is_stopping = True
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, dispatcher.hurry)
            await asyncio.gather(*tasks)
            watching.cancel()

    def _runtime_parts(self, runner: GuardedClient, transcripts: TranscriptWriter) -> RuntimeParts:
        settings = self._settings
        triggers = Triggers(self._db, self._box, self._allow_private, settings.permitted)
        return RuntimeParts(
            runner,
            self._clock,
            settings.commands,
            make_tools(self._db, triggers, self._clock, self._base_url),
            RemoteTasks(self._db),
            transcripts,
            read_variable=read_variable,
            mcp_commands=settings.mcp_commands,
        )

    @property
    def _base_url(self) -> str:
        return self._settings.public_url or self._settings.url

    def _dispatcher(self, parts: RuntimeParts, pulse: WorkerHeartbeat) -> Dispatcher:
        return Dispatcher(
            self._db,
            lambda spec: make_runtime(spec, parts),
            box=self._box,
            base_url=self._base_url,
            worker=f"{socket.gethostname()}:{os.getpid()}",
            heartbeat_age=pulse.age,
            threads=DATABASE_CONNECTIONS - 1 if self._jobs is Jobs.LARGE else DATABASE_CONNECTIONS,
            places=self._places,
            traced=self._settings.otlp_endpoint is not None,
        )

    def _runs_app(self, dispatcher: Dispatcher, pulse: WorkerHeartbeat) -> Callable[[], App]:
        return lambda: make_worker_app(
            self._settings.libpq_url,
            self._settings.listen_url,
            dispatcher.run,
            pulse,
            self._timing.heartbeat,
            dispatcher.room,
            dispatcher.announce,
            self._jobs,
        )

    def _checks_app(
        self, client: GuardedClient, parts: RuntimeParts, open_until_end: AsyncExitStack
    ) -> Callable[[], App]:
        poller = Poller(self._db, self._box, client, self._clock, self._allow_private, self._settings.permitted)
        deliverer = Deliverer(self._db, self._box, client, self._clock)
        canceller = Canceller(self._db, lambda spec: make_runtime(spec, parts), self._box)
        open_until_end.callback(poller.close)
        open_until_end.callback(deliverer.close)
        return lambda: make_check_app(
            self._settings.libpq_url,
            poller.check,
            WorkerHeartbeat(self._clock),
            deliverer.deliver,
            canceller.cancel,
            self._timing.heartbeat,
        )

    def _of_runs(self) -> WorkerOptions:
        return {**self._options(), "queues": [QUEUE], "concurrency": self._places}

    def _of_checks(self) -> WorkerOptions:
        return {
            **self._options(),
            "queues": [IO_QUEUE],
            "concurrency": MAX_OPEN_REQUESTS,  # a job may hold a single poll
            "fetch_job_polling_interval": 1.0,
            "listen_notify": False,
        }

    def _options(self) -> WorkerOptions:
        return {
            "fetch_job_polling_interval": self._timing.poll,
            "update_heartbeat_interval": self._timing.heartbeat,
            "stalled_worker_timeout": STALLED_AFTER.total_seconds(),
            "shutdown_graceful_timeout": self._timing.grace,
            "delete_jobs": "always",
            "install_signal_handlers": False,
        }

    async def _keep_working(
        self, make_app: Callable[[], App], options: WorkerOptions, stopping: asyncio.Event
    ) -> None:
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


def _collect_less() -> None:
    """Freezes the objects created at startup and runs the garbage collector less often.

    Runs allocate many objects that live as long as the run, and each batch triggered a collection: a fifth of a
    run's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
