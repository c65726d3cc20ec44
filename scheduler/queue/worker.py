"""Procrastinate's worker, made to survive database outages.

Measured on 3.10: when PostgreSQL restarts, its listener ends for good. That, or a failed heartbeat, goes
unnoticed, since the task that would notice ends at once when there are no periodic tasks. A failed fetch ends the
worker, which first waits for its runs and then aborts them. The classes here retry instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import UUID

import psycopg
from loguru import logger
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Notification, Status
from procrastinate.manager import JobManager, NotificationCallback

from scheduler.domain.roles import Jobs
from scheduler.queue.connections import make_connector
from scheduler.queue.pulse import WorkerHeartbeat
from scheduler.queue.small_jobs import fetch_some
from scheduler.queue.tasks import (
    CANCEL_TASK,
    CHECK_TASK,
    DELIVER_TASK,
    IO_QUEUE,
    QUEUE,
    RUN_TASK,
    Capacity,
    Run,
    RunsJob,
)
from scheduler.storage.pooler import open_quick_session, supports_listen_async

PAUSE_SECONDS = 1.0
FINISH_PAUSES = (0.2, 0.5, 1.0, 2.0, *[3.0] * 18)
"""The pauses between attempts to delete a finished job, about a minute in all.

The reconciler removes what is left.
"""


class ResilientJobManager(JobManager):
    """Retries where Procrastinate would give up, and sends heartbeats until the last run of a stopping worker has
    ended.
    """

    def __init__(
        self,
        connector: PsycopgConnector,
        pulse: WorkerHeartbeat,
        beat_seconds: float,
        room: Callable[[], Awaitable[Capacity]],
        listen_url: str,
        announce: Callable[[], None],
        jobs: Jobs,
    ) -> None:
        super().__init__(connector)
        self._pool = connector
        self._jobs = jobs
        self._room = room
        self._is_heard = False
        self._announce = announce
        self._listen_url = listen_url
        self._pulse = pulse
        self._beat_seconds = beat_seconds
        self._beating: asyncio.Task[None] | None = None
        # Of the pool's two connections a fetch always finds one free: a batch of runs ends several jobs at once.
        self._finishing = asyncio.Lock()

    async def register_worker(self) -> int:
        """Registers, which is the first heartbeat, and keeps sending heartbeats until `unregister_worker`."""
        async with self._pulse.beat():
            worker_id = await super().register_worker()
        self.stop_beating()
        self._beating = asyncio.create_task(self._beat(worker_id), name="heartbeats")
        return worker_id

    async def unregister_worker(self, worker_id: int) -> None:
        """Signs off: all runs have ended or were handed back."""
        self.stop_beating()
        await super().unregister_worker(worker_id)

    async def update_heartbeat(self, worker_id: int) -> None:
        """Does nothing: `register_worker` sends the heartbeats, as Procrastinate stops its own before it waits for
        the runs.
        """

    def stop_beating(self) -> None:
        """Stops the heartbeats, also of a worker that ended without signing off."""
        if self._beating is not None:
            self._beating.cancel()

    async def _beat(self, worker_id: int) -> None:
        """Sends heartbeats and keeps trying while the database is unavailable."""
        pause = self._beat_seconds
        while True:
            await asyncio.sleep(pause)
            try:
                async with self._pulse.beat():
                    await super().update_heartbeat(worker_id)
                pause = self._beat_seconds
            except ConnectorException as error:
                logger.warning("The heartbeat waits for the database: {}", _first_line(error))
                pause = min(PAUSE_SECONDS, self._beat_seconds)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Fetches a job; None while the database is unavailable or there is no room for one."""
        while (room := await self._room()) is not Capacity.NONE:
            self._is_heard = False
            try:
                if self._jobs is Jobs.ANY and room is Capacity.ANY:
                    job = await super().fetch_job(queues, worker_id)
                else:
                    job = await fetch_some(self._jobs, room, self._pool, queues or (), worker_id)
            except ConnectorException as error:
                await _wait_out(error, "The look for work")
                return None
            # Procrastinate would forget a notification that came meanwhile.
            if job is not None or (room is Capacity.ANY and not self._is_heard):
                return job
        return None

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Deletes a finished job, retrying for a while. A job that is gone was taken over as stalled."""
        for pause in FINISH_PAUSES:
            try:
                async with self._finishing:
                    return await super().finish_job(job, status, delete_job)
            except ConnectorException as error:
                if isinstance(error.__cause__, psycopg.errors.RaiseException):
                    logger.warning("Job {} was taken over while it ran", job.id)
                    return None
                await _wait_out(error, f"The end of job {job.id}", pause)
        return None

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Listens, bypassing any pooler, and listens again when the connection is lost; gives up if LISTEN has no
        effect.
        """

        async def notified(*, channel: str, notification: Notification) -> None:
            self._is_heard = True
            self._announce()
            await on_notification(channel=channel, notification=notification)

        connector = make_connector(self._listen_url, min_size=0, max_size=1)
        listening = JobManager(connector)
        await connector.open_async()
        try:
            while await self._hears():
                try:
                    await listening.listen_for_jobs(on_notification=notified, queues=queues)
                except ConnectorException as error:
                    await _wait_out(error, "The listener")
            await asyncio.Event().wait()
        finally:
            await connector.close_async()

    async def _hears(self) -> bool:
        while True:
            try:
                return await supports_listen_async(self._listen_url)
            except psycopg.Error as error:
                logger.warning("The listener waits for the database: {}", str(error).partition("\n")[0])
                await asyncio.sleep(PAUSE_SECONDS)


async def _wait_out(error: ConnectorException, what: str, seconds: float = PAUSE_SECONDS) -> None:
    """Waits a moment if the database is unavailable; raises any other error, which restarts the worker."""
    if not isinstance(error.__cause__, psycopg.OperationalError | psycopg.InterfaceError):
        raise error
    logger.warning("{} waits for the database: {}", what, _first_line(error))
    await asyncio.sleep(seconds)


def _first_line(error: ConnectorException) -> str:
    return str(error.__cause__ or error).partition("\n")[0]


def make_worker_app(
    libpq_url: str,
    listen_url: str,
    run: Callable[[Sequence[Run], RunsJob], Awaitable[None]],
    pulse: WorkerHeartbeat,
    beat_seconds: float,
    room: Callable[[], Awaitable[Capacity]],
    announce: Callable[[], None],
    jobs: Jobs = Jobs.ANY,
) -> App:
    """Creates the app of the worker that runs invocations, not yet open, with task `run([(id, attempt), …], job)`.

    It fetches only `jobs`, as `room`, which may wait a moment, allows, and calls `announce` when a job was added.

    It takes at most three connections: two pooled, and the listener's at `listen_url`, bypassing any pooler. Its
    commits do not wait for the disk: what a crash of the server undoes is a fetch, before the claim that is waited
    for, or the end of a job, which the reconciler repeats.
    """
    connector = make_connector(libpq_url, min_size=1, max_size=2, configure=open_quick_session)
    app = _app(connector, listen_url, pulse, beat_seconds, room, announce, jobs)

    @app.task(name=RUN_TASK, queue=QUEUE, pass_context=True)
    async def run_invocations(
        context: JobContext,
        runs: list[tuple[str, int]] | None = None,
        invocation_id: str = "",  # for jobs queued by an earlier version, one per invocation
        attempt: int = 0,
        waits: int = 0,
    ) -> None:
        wanted = [(invocation_id, attempt)] if runs is None else runs
        job = RunsJob(context.job.id, context.job.priority, waits)
        await run([(UUID(each), number) for each, number in wanted], job)

    return app


def make_check_app(
    libpq_url: str,
    check: Callable[[Sequence[tuple[UUID, int]]], Awaitable[None]],
    pulse: WorkerHeartbeat,
    deliver: Callable[[UUID, int], Awaitable[None]],
    cancel: Callable[[UUID], Awaitable[None]],
    beat_seconds: float,
) -> App:
    """Creates the app of the worker that checks polls, sends notifications and cancels runs elsewhere, not yet open.

    Its tasks are `check([(trigger_id, version), …])`, `deliver(delivery_id, attempt)` and `cancel(invocation_id)`.
    It takes one connection if it runs without a listener: all can wait a second.
    """
    connector = make_connector(libpq_url, min_size=1, max_size=1)
    app = _app(connector, libpq_url, pulse, beat_seconds)

    @app.task(name=CHECK_TASK, queue=IO_QUEUE)
    async def check_polls(polls: list[tuple[str, int]]) -> None:
        await check([(UUID(trigger_id), version) for trigger_id, version in polls])

    @app.task(name=DELIVER_TASK, queue=IO_QUEUE)
    async def deliver_notification(delivery_id: str, attempt: int) -> None:
        await deliver(UUID(delivery_id), attempt)

    @app.task(name=CANCEL_TASK, queue=IO_QUEUE)
    async def cancel_remote_run(invocation_id: str) -> None:
        await cancel(UUID(invocation_id))

    return app


def stop_beating(app: App) -> None:
    """Stops the heartbeats of an app whose worker has ended for any reason."""
    assert isinstance(app.job_manager, ResilientJobManager)  # noqa: S101  # `_app` made it
    app.job_manager.stop_beating()


async def _always() -> Capacity:
    return Capacity.ANY


def _nothing() -> None:
    return None


def _app(
    connector: PsycopgConnector,
    listen_url: str,
    pulse: WorkerHeartbeat,
    beat_seconds: float,
    room: Callable[[], Awaitable[Capacity]] = _always,
    announce: Callable[[], None] = _nothing,
    jobs: Jobs = Jobs.ANY,
) -> App:
    app = App(connector=connector)
    app.job_manager = ResilientJobManager(connector, pulse, beat_seconds, room, listen_url, announce, jobs)
    return app
