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
from scheduler.storage.engine import Database, transact
from scheduler.storage.ways import give_way, take_way

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
    """A few threads, one of them only for claims of small jobs, to which all other work gives the right of way.

    Not for their ends: no call waits for one, and with a score of statements it would keep the next claim waiting.
    """

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

        if runs > RUNS_OF_A_SMALL_JOB:
            return await self._run(self._shared, giving)
        return await self._run(self._shared, work, *args, **kwargs)

    async def claim_few(self, work: Transaction[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work`, the claim of a small job, in a transaction that has the right of way from now on.

        It never waits for the shared threads: what they hold may be waiting for the right of way of these few.
        """

        def hastening(conn: Connection) -> T:
            take_way(conn, CLAIM_SECONDS)
            return work(conn, *args, **kwargs)

        WAY.take(CLAIM_SECONDS)
        is_shared_free = self._in_progress[self._shared] < self._shared_threads
        return await self._run(
            self._shared if self._in_progress[self._own] and is_shared_free else self._own, hastening
        )

    async def _run(self, threads: Executor, work: Transaction[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._in_progress[threads] += 1
        try:
            return await transact(self._db, threads, work, *args, **kwargs)
        finally:
            self._in_progress[threads] -= 1

    async def start_next(self, *, is_small: bool) -> None:
        """Waits after the start of a run until the next one of its job may start: not at all if that is small.

        Of a large job one starts in each turn of the event loop, so that a run of a small job is not behind 50 others,
        and only after a short turn: with agents that answer at once the loop is full long before the places are, and
        more runs would only make each step of the others slower.
        """
        if is_small:
            WAY.take(START_SECONDS)
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
