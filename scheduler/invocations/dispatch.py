"""Running invocations: claim, prepare, run, finish. No transaction is open while a runtime runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from scheduler.domain.errors import DatabaseUnavailable, ReveilleError
from scheduler.domain.model import InvocationState
from scheduler.domain.run import Failed, HandedBack, Outcome, RunRequest, Runtime, RuntimeSpec, Skipped
from scheduler.invocations.lifecycle import Claimed, claim, finish
from scheduler.invocations.log_line import told
from scheduler.invocations.requests import prepare
from scheduler.storage.engine import Database, transact
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables import Invocation

WATCH_SECONDS = 1.0
"""How often it is looked whether a run was cancelled or taken away."""
STALE_SECONDS = 20.0
"""The age of this worker's heartbeat at which it gives its runs up, before at 30 s others take them for lost."""
PAUSES = (0.2, 0.5, 1.0, 2.0, *[3.0] * 18)
"""Between attempts to write an end down while the database is away: for about a minute."""

UNREACHABLE = (DatabaseUnavailable, OperationalError)
"""What passes by itself: the database is away, or has chosen this transaction to break a deadlock."""

SHUTDOWN = HandedBack("worker_shutdown")
DATABASE_AWAY = HandedBack("database_away")
STALE = Failed("The worker lost touch with the database and gave the run up.", reason="worker_lost")
TAKEN = HandedBack("taken")
CANCELLED = Failed("The run was cancelled.", reason="cancelled")


class Run:
    """One try under way. `stop` ends it from outside, with the outcome that this then is."""

    def __init__(self, invocation_id: UUID, attempt: int) -> None:
        self.invocation_id = invocation_id
        self.attempt = attempt
        self.request: RunRequest | None = None
        self._stopped: Outcome | None = None
        self._task: asyncio.Future[Outcome] | None = None

    def stop(self, outcome: Outcome) -> None:
        """Cancel the runtime, now or as soon as it starts. The first reason counts."""
        self._stopped = self._stopped or outcome
        if self._task is not None:
            self._task.cancel()

    async def outcome_of(self, running: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Run a runtime to its end, whatever that is. A result that was there before a `stop` took hold counts."""
        if self._stopped is not None:
            running.close()
            return self._stopped
        self._task = asyncio.ensure_future(running)
        await asyncio.wait([self._task])
        if self._task.cancelled():
            return self._stopped or Failed("The runtime cancelled itself.")
        error = self._task.exception()
        if error is not None:
            logger.opt(exception=error).error("The runtime of invocation {} broke", self.invocation_id)
            return Failed(f"The runtime broke: {type(error).__name__}: {error}")
        return self._task.result()


class Dispatcher:
    """Runs any number of invocations at once on one event loop, with a few threads for the database."""

    def __init__(
        self,
        db: Database,
        make_runtime: Callable[[RuntimeSpec], Runtime],
        *,
        box: SecretBox,
        base_url: str,
        worker: str,
        heartbeat_age: Callable[[], float],
        threads: int = 3,
    ) -> None:
        """`base_url`: the API's, for `complete_url`. `heartbeat_age`: in seconds. `threads`: as `db` has room."""
        self._db = db
        self._make_runtime = make_runtime
        self._box = box
        self._base_url = base_url
        self._worker = worker
        self._heartbeat_age = heartbeat_age
        # Not the loop's own: what else is run there may hang, and must not keep an end from being written down.
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="dispatch")
        self._runs: set[Run] = set()
        self.is_stopping = False
        """Whether this worker was told to stop: a run that it has to give up then costs no try."""

    async def run(self, invocation_id: UUID, attempt: int) -> None:
        """The Procrastinate job: one try of one invocation, if it is still there to be claimed.

        Cancelled by a shutdown, it hands the run back first.
        """
        run = Run(invocation_id, attempt)
        carrying = asyncio.ensure_future(self._carry(run))
        try:
            await asyncio.shield(carrying)
        except asyncio.CancelledError:
            run.stop(SHUTDOWN)
            await carrying
            raise

    async def watch(self) -> None:
        """Look after the runs until cancelled: stop what was cancelled, taken away, or may be taken any time."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._runs and self._heartbeat_age() > STALE_SECONDS:
                for run in self._runs:
                    run.stop(SHUTDOWN if self.is_stopping else STALE)
            elif self._runs:
                await self._look_after(set(self._runs))

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _carry(self, run: Run) -> None:
        claimed = await self._claim(run)
        if claimed is None:
            return
        self._runs.add(run)
        try:
            outcome = await self._outcome(run, claimed)
        finally:
            self._runs.discard(run)
        if await self._finish(run, outcome) and run.request is not None:
            logger.info("{}", told(run.request, outcome))

    async def _claim(self, run: Run) -> Claimed | None:
        while True:
            try:
                return await transact(self._db, self._threads, claim, run.invocation_id, self._worker, run.attempt)
            except UNREACHABLE as error:
                logger.warning("Invocation {} could not be claimed: {}", run.invocation_id, error)
                # The commit may have arrived although its answer did not: then the try is ours, and goes back.
                if await self._finish(run, DATABASE_AWAY) is None:
                    return None

    async def _outcome(self, run: Run, claimed: Claimed) -> Outcome:
        try:
            work = await transact(self._db, self._threads, prepare, claimed, self._base_url, self._box)
            if isinstance(work, Skipped):
                return work
            runtime = self._make_runtime(work.spec)
        except UNREACHABLE:
            return DATABASE_AWAY
        except ReveilleError as error:
            return Failed(error.message, permanent=error.permanent)
        except Exception as error:  # noqa: BLE001  # else it would look like a lost worker
            logger.opt(exception=error).error("Invocation {} cannot be prepared", run.invocation_id)
            return Failed(f"The run could not be prepared: {type(error).__name__}: {error}")
        run.request = work.request
        return await run.outcome_of(runtime.run(work.request))

    async def _finish(self, run: Run, outcome: Outcome) -> bool | None:
        """Write the end down: whether the try was still ours; None when the database stayed away too long.

        Then the sweeper, or at last the reconciler, ends it.
        """
        for pause in PAUSES:
            try:
                return await transact(self._db, self._threads, finish, run.invocation_id, run.attempt, outcome)
            except UNREACHABLE as error:
                logger.warning("The end of invocation {} could not be written: {}", run.invocation_id, error)
                await asyncio.sleep(pause)
        return None

    async def _look_after(self, runs: set[Run]) -> None:
        try:
            rows = await transact(self._db, self._threads, _read_runs, [run.invocation_id for run in runs])
        except (ReveilleError, SQLAlchemyError) as error:
            logger.warning("The runs cannot be looked after: {}", error)
            return
        for run in runs:
            attempt, state, cancel_requested = rows.get(run.invocation_id, (0, "", False))
            if attempt != run.attempt or state != InvocationState.RUNNING:
                run.stop(TAKEN)
            elif cancel_requested:
                run.stop(CANCELLED)


def _read_runs(conn: Connection, ids: Collection[UUID]) -> dict[UUID, tuple[int, str, bool]]:
    columns = (Invocation.id, Invocation.attempt, Invocation.state, Invocation.cancel_requested)
    rows = conn.execute(select(*columns).where(Invocation.id.in_(ids)))
    return {each: (attempt, state, cancel_requested) for each, attempt, state, cancel_requested in rows}
