"""The threads on which a dispatcher uses the database: small jobs do not wait for large ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from sqlalchemy import Connection

from scheduler.domain.right_of_way import WAY
from scheduler.queue.small_jobs import RUNS_OF_A_SMALL_JOB
from scheduler.storage.engine import Database, give_way, transact

T = TypeVar("T")
P = ParamSpec("P")
Transaction: TypeAlias = Callable[Concatenate[Connection, P], T]
"""Work on the connection of a transaction, with further arguments P."""

CLAIM_SECONDS, START_SECONDS = 0.05, 0.03
"""How long large work waits at most for the claim of a small job, and for the start of one of its runs."""
SHORT_TURN_SECONDS, MOST_TURNS = 0.005, 20
"""A turn of the event loop after which a run of a large job starts, and how many longer ones it waits at most."""


class Lanes:
    """A few threads, one of them only for work on few runs, to which all other work gives the right of way."""

    def __init__(self, db: Database, threads: int, now: Callable[[], float] = time.monotonic) -> None:
        """`threads`: as many as `db` has room for."""
        self._db = db
        self._now = now
        self._shared = ThreadPoolExecutor(max(threads - 1, 1), thread_name_prefix="dispatch")
        self._own = ThreadPoolExecutor(1, thread_name_prefix="dispatch-small")
        self._is_own_free = True

    async def transact(self, runs: int, work: Transaction[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` on so many `runs` in a transaction; for more than a small job has, it gives the right of way."""

        def giving(conn: Connection) -> T:
            give_way(conn)
            return work(conn, *args, **kwargs)

        if runs > RUNS_OF_A_SMALL_JOB:
            return await transact(self._db, self._shared, giving)
        if not self._is_own_free:
            return await transact(self._db, self._shared, work, *args, **kwargs)
        self._is_own_free = False
        try:
            return await transact(self._db, self._own, work, *args, **kwargs)
        finally:
            self._is_own_free = True

    def hasten(self) -> None:
        """Takes the right of way for the claim of a small job."""
        WAY.take(CLAIM_SECONDS)

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
