"""Runs invocations: claims, prepares, runs and finishes them. No transaction is open while a runtime runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import ParamSpec, TypeVar
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from scheduler.domain.errors import DatabaseUnavailable, ReveilleError
from scheduler.domain.model import InvocationState
from scheduler.domain.run import Failed, HandedBack, Outcome, Runtime, RuntimeSpec, Skipped
from scheduler.invocations.concurrency import MOST_WAITS, ReturnTimes, RunSlots, read_candidates, rooms_of_tenants
from scheduler.invocations.ends import finish_all
from scheduler.invocations.group_commit import Gatherer
from scheduler.invocations.lanes import Lanes, Transaction
from scheduler.invocations.requests import PreparedRun, prepare_all
from scheduler.invocations.run import Run, claim_all, level_of, log_line, read_attempts
from scheduler.queue.small_jobs import is_small
from scheduler.queue.tasks import RUNS_OF_A_JOB, Capacity, RunsJob, defer_rest, keep_runs
from scheduler.runtimes.canary import CANARY_KIND
from scheduler.storage.engine import Database
from scheduler.storage.secrets import SecretBox

WATCH_SECONDS = 1.0
"""How often runs are checked for cancellation or loss."""
STALE_SECONDS = 20.0
"""The age of this worker's heartbeat at which it gives up its runs, before others take them as lost at 30 s."""
PAUSES = (0.2, 0.5, 1.0, 2.0, *[3.0] * 18)
"""The pauses between attempts to write an end while the database is unavailable, about a minute in all."""

NO_JOB = RunsJob()
T = TypeVar("T")
P = ParamSpec("P")
Prepared = PreparedRun | Skipped | Exception
"""The input of a claimed run, or why it cannot be made."""

UNREACHABLE = (DatabaseUnavailable, OperationalError)
"""Temporary errors: the database is unavailable, or chose this transaction to break a deadlock."""

FROZEN = HandedBack("claim_too_old")
"""Its last heartbeat before the claim is too old, such as that of a suspended process: others may have taken it."""
SHUTDOWN = HandedBack("worker_shutdown")
DATABASE_AWAY = HandedBack("database_away")
STALE = Failed("The worker lost its database connection and gave up the run.", reason="worker_lost")
TAKEN = HandedBack("taken")
CANCELLED = Failed("The run was cancelled.", reason="cancelled")


class Dispatcher:
    """Runs invocations on one event loop, as many at once as it has places, with a few threads for the database."""

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
        places: int = 200,
        traced: bool = False,
    ) -> None:
        """`base_url`: the API's, for `complete_url`. `traced`: agents are given the trace context of their runs.

        `heartbeat_age`: in seconds. `threads`: as many as `db` has room for.
        """
        self._make_runtime = make_runtime
        self._box = box
        self._base_url = base_url
        self._traced = traced
        self._worker = worker
        self._heartbeat_age = heartbeat_age
        # Own threads instead of the loop's: other work there may hang and must not delay the writing of an end.
        self._lanes = Lanes(db, threads)
        self._runs: set[Run] = set()
        self._places = RunSlots(places)
        self._returns = ReturnTimes()
        self._ends: Gatherer[tuple[Run, Outcome], bool | None] = Gatherer(self._write_ends)
        self.is_stopping = False
        """Whether this worker was told to stop: a run that it has to give up then costs no attempt."""
        self._hurries = False

    async def room(self) -> Capacity:
        """Returns what it can take. With few free places it waits a moment, to fetch several runs at once."""
        return await self._places.room(RUNS_OF_A_JOB)

    def announce(self) -> None:
        """Notes that a job was added, which may be a small one."""
        self._places.is_announced = True

    async def run(self, runs: Sequence[tuple[UUID, int]], job: RunsJob = NO_JOB) -> None:
        """The Procrastinate job: attempts each (invocation id, attempt) that can still be claimed.

        Requeues, for any worker, what it has no place for. When a shutdown cancels it, it first hands its runs
        back.
        """
        tries = [Run(invocation_id, attempt) for invocation_id, attempt in runs]
        carrying = asyncio.ensure_future(self._carry_all(tries, job))
        try:
            await asyncio.shield(carrying)
        except asyncio.CancelledError:
            for run in tries:
                run.stop(SHUTDOWN)
            await carrying
            raise

    async def watch(self) -> None:
        """Watches the runs until cancelled: stops those cancelled, taken over, or about to be taken over."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._runs and (self._hurries or self._heartbeat_age() > STALE_SECONDS):
                for run in self._runs:
                    run.stop(SHUTDOWN if self.is_stopping else STALE)
            elif self._runs:
                await self._look_after(set(self._runs))

    def hurry(self) -> None:
        """Has a stopping worker hand its runs back instead of waiting for them."""
        self._hurries = True

    def close(self) -> None:
        """Stops the threads."""
        self._lanes.close()

    async def _carry_all(self, tries: Sequence[Run], job: RunsJob) -> None:
        ends: dict[Run, asyncio.Future[None]] = {}
        left = list(tries)
        small = is_small(job.priority, len(tries))
        self._places.asked += len(left)
        try:
            while left:
                for run, work in (await self._claim(left, job, [*ends])).items():
                    ends[run] = asyncio.ensure_future(self._carry(run, work))
                    await self._lanes.start_next(is_small=small)
                held = [run for run in left if run.is_held]
                self._places.asked -= len(left) - len(held)
                left = held
                await self._places.freed(len(left))
        finally:
            self._places.asked -= len(left)
        for error in await asyncio.gather(*ends.values(), return_exceptions=True):
            if isinstance(error, BaseException):
                logger.opt(exception=error).error("The end of a run could not be written down")

    def _leave(self, run: Run) -> None:
        run.is_held = False
        if run.place is not None:
            self._places.give_back(run.place)
            run.place = None

    async def _carry(self, run: Run, work: Prepared) -> None:
        self._runs.add(run)
        try:
            outcome = await self._outcome(run, work)
        finally:
            self._runs.discard(run)
            self._leave(run)  # its end is written beside the next runs
        if await self._ends.submit((run, outcome)) and run.request is not None:
            said = partial(log_line, run.request, outcome)
            logger.bind(**run.ids).opt(lazy=True).log(level_of(outcome), "{}", said)

    async def _claim(self, runs: Sequence[Run], job: RunsJob, kept: list[Run]) -> dict[Run, Prepared]:
        """Claims runs and reads what they need; returns those that are ours now.

        `kept`: those of the job that already are.
        """
        small = is_small(job.priority, len(runs))
        work = partial(self._claim_and_prepare, runs=runs, job=job, kept=kept)
        while True:
            asked_at = asyncio.get_running_loop().time()
            alive_at = asked_at - self._heartbeat_age()
            try:
                made = await (self._lanes.claim_few(work) if small else self._lanes.transact(len(runs), work))
            except UNREACHABLE as error:
                logger.warning("{} invocations could not be claimed: {}", len(runs), error)
                self._leave_all(runs)
                # The commit may have succeeded although its answer was lost: then the attempts are ours and must
                # be given back.
                self._ends.expect(len(runs))
                ended = await asyncio.gather(*(self._ends.submit((run, DATABASE_AWAY)) for run in runs))
                if all(each is None for each in ended):
                    return {}
            except Exception as error:  # noqa: BLE001  # one of them cannot be read: it must not hold up the others
                self._leave_all(runs)
                return await self._claim_apart(runs, job, kept, error)
            else:
                self._ends.expect(len(made))
                for run in made:
                    run.claimed_at, run.alive_at = asked_at, alive_at
                return made

    async def _claim_apart(
        self, runs: Sequence[Run], job: RunsJob, kept: list[Run], error: Exception
    ) -> dict[Run, Prepared]:
        if len(runs) > 1:
            middle = len(runs) // 2
            first = await self._claim(runs[:middle], job, kept)
            kept = [*kept, *first, *(run for run in runs[:middle] if run.is_held)]
            return first | await self._claim(runs[middle:], job, kept)
        logger.opt(exception=error).error("Invocation {} cannot be read", runs[0].invocation_id)
        claimed = await self._persist("A claim", 1, claim_all, [run.key for run in runs], self._worker)
        self._ends.expect(len(claimed or ()))
        return dict.fromkeys(runs, error) if claimed else {}

    def _claim_and_prepare(
        self, conn: Connection, runs: Sequence[Run], job: RunsJob, kept: Sequence[Run]
    ) -> dict[Run, Prepared]:
        """Claims those that have a place and requeues the others for any worker, in one transaction."""
        by_id = {run.invocation_id: run for run in runs}
        candidates = read_candidates(conn, by_id)
        taken = self._places.take(candidates, rooms_of_tenants(conn, candidates))
        for candidate in taken:
            by_id[candidate.id].place = candidate
        claimed = claim_all(conn, [by_id[each.id].key for each in taken], self._worker)
        made = {}
        if claimed:
            made = prepare_all(conn, claimed, self._base_url, self._box, traced=self._traced)
        ours = [run for run in runs if run.invocation_id in made]
        self._leave_all([run for run in runs if run.invocation_id not in made])
        left = [each for each in candidates if by_id[each.id].place is None]
        held = not self.is_stopping and self._places.frees_soon(left)
        for each in candidates:
            by_id[each.id].is_held = held and each in left
        if left and not held:
            self._put_back(conn, job, [*kept, *ours], [by_id[each.id] for each in left])
        return {run: made[run.invocation_id] for run in ours}

    def _put_back(self, conn: Connection, job: RunsJob, ours: Sequence[Run], left: Sequence[Run]) -> None:
        if job.id is not None:
            keep_runs(conn, job.id, [run.key for run in ours])
        # With places left, their tenant or host has too many: they wait longer each time.
        waits = 0 if ours else job.waits
        delay = self._returns.delay(waits) if self._places.free > 0 else 0.0
        waits = min(waits + 1, MOST_WAITS) if delay else 0
        defer_rest(conn, [run.key for run in left], job.priority, waits, delay)

    def _leave_all(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._leave(run)

    async def _outcome(self, run: Run, work: Prepared) -> Outcome:
        if isinstance(work, Skipped):
            return work
        try:
            if isinstance(work, Exception):
                raise work
            runtime = self._make_runtime(work.spec)
        except ReveilleError as error:
            return Failed(error.message, permanent=error.permanent)
        except Exception as error:  # noqa: BLE001  # else it would look like a lost worker
            logger.opt(exception=error).error("Invocation {} cannot be prepared", run.invocation_id)
            return Failed(f"The run could not be prepared: {type(error).__name__}: {error}")
        if not run.begins_within(STALE_SECONDS, FROZEN):
            return FROZEN
        run.request = None if work.spec.kind == CANARY_KIND else work.request  # no line of it in the log
        return await run.timed(runtime.run(work.request), work.spec.kind, work.waited)

    async def _write_ends(self, ends: Sequence[tuple[Run, Outcome]]) -> list[bool | None]:
        """Writes ends; returns for each whether the attempt was still ours, or None if the database stayed away.

        Then the sweeper, or finally the reconciler, ends it.
        """
        tries = [(*run.key, outcome) for run, outcome in ends]
        written = await self._persist(f"The end of {len(ends)} runs", len(ends), finish_all, tries)
        return [None] * len(ends) if written is None else [*written]

    async def _persist(
        self, what: str, runs: int, work: Transaction[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Runs `work` in a transaction, retrying while the database is unavailable; None if that is too long."""
        for pause in PAUSES:
            try:
                return await self._lanes.transact(runs, work, *args, **kwargs)
            except UNREACHABLE as error:
                logger.warning("{} could not be written: {}", what, error)
                await asyncio.sleep(pause)
        return None

    async def _look_after(self, runs: set[Run]) -> None:
        try:
            rows = await self._lanes.transact(len(runs), read_attempts, [run.invocation_id for run in runs])
        except (ReveilleError, SQLAlchemyError) as error:
            logger.warning("The runs could not be checked: {}", error)
            return
        for run in runs:
            attempt, state, cancel_requested = rows.get(run.invocation_id, (0, "", False))
            if attempt != run.attempt or state != InvocationState.RUNNING:
                run.stop(TAKEN)
            elif cancel_requested:
                run.stop(CANCELLED)
