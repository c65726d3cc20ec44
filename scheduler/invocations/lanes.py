"""The threads on which a dispatcher uses the database: small jobs do not wait for large ones."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from sqlalchemy import Connection

from scheduler.domain.right_of_way import WAY
from scheduler.queue.small_jobs import RUNS_OF_A_SMALL_JOB
from scheduler.storage.engine import Database, give_way, take_way, transact

T = TypeVar("T")
P = ParamSpec("P")
Transaction: TypeAlias = Callable[Concatenate[Connection, P], T]
"""Work on the connection of a transaction, with further arguments P."""

CLAIM_SECONDS, START_SECONDS = 0.05, 0.03
"""How long large work waits at most for a statement of the claim of a small job, and for the start of one of its
runs.
"""
SHORT_TURN_SECONDS, MOST_TURNS = 0.005, 20
"""A turn of the event loop after which a run of a large job starts, and how many longer ones it waits at most."""


class Lanes:
    """A few threads, one of them only for work on few runs, to which all other work gives the right of way."""

    def __init__(self, db: Database, threads: int, now: Callable[[], float] = time.monotonic) -> None:
        """`threads`: as many as `db` has room for."""
        self._db = db
        self._now = now
        self._shared_threads = max(threads - 1, 1)
        self._shared = ThreadPoolExecutor(self._shared_threads, thread_name_prefix="dispatch")
        self._own = ThreadPoolExecutor(1, thread_name_prefix="dispatch-small")
        self._in_progress: Counter[Executor] = Counter()

    async def transact(self, runs: int, work: Transaction[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` on so many `runs` in a transaction; for more than a small job has, it gives the right of way."""

        def giving(conn: Connection) -> T:
            give_way(conn)
            return work(conn, *args, **kwargs)

        threads = self._threads_for(runs)
        self._in_progress[threads] += 1
        try:
            if runs > RUNS_OF_A_SMALL_JOB:
                return await transact(self._db, threads, giving)
            return await transact(self._db, threads, work, *args, **kwargs)
        finally:
            self._in_progress[threads] -= 1

    def _threads_for(self, runs: int) -> Executor:
        """Returns where work on so many runs begins soonest.

        Few never wait for the shared threads: what they hold may be waiting for the right of way of these few.
        """
        is_shared_free = self._in_progress[self._shared] < self._shared_threads
        is_shared = runs > RUNS_OF_A_SMALL_JOB or (self._in_progress[self._own] and is_shared_free)
        return self._shared if is_shared else self._own

    def hastened(self, work: Transaction[P, T]) -> Transaction[P, T]:
        """Returns `work`, a claim of a small job, with the right of way from now on."""

        def hastening(conn: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
            take_way(conn, CLAIM_SECONDS)
            return work(conn, *args, **kwargs)

        WAY.take(CLAIM_SECONDS)
        return hastening

    async def start_next(self, *, is_small: bool) -> None:
        """Waits after the start of a run until the next one of its job may start.

        One starts in each turn of the event loop, so that a run of a small job is not behind 50 others; for a large
        job only after a short turn: with agents that answer at once the loop is full long before the places are, and
        more runs would only make each step of the others slower.
        """
        if is_small:
            WAY.take(START_SECONDS)
            await asyncio.sleep(0)
            return
        await WAY.give_on_loop()
        for _ in range(MOST_TURNS):
            began = self._now()
            await asyncio.sleep(0)
            if self._now() - began < SHORT_TURN_SECONDS:
                return

    def close(self) -> None:
        """Stops the threads."""
        for threads in (self._shared, self._own):
            threads.shutdown(wait=False, cancel_futures=True)
