"""The threads on which a dispatcher uses the database: small jobs do not wait for large ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from scheduler.domain.right_of_way import WAY
from scheduler.storage.engine import Database, give_way, transact

T = TypeVar("T")
P = ParamSpec("P")

CLAIM_SECONDS, START_SECONDS = 0.05, 0.02
"""How long large work waits at most for the claim of a small job, and for the start of one of its runs."""


class Lanes:
    """A few threads, one of them only for small jobs. The work of large ones gives them the right of way."""

    def __init__(self, db: Database, threads: int) -> None:
        """`threads`: as many as `db` has room for."""
        self._db = db
        self._shared = ThreadPoolExecutor(max(threads - 1, 1), thread_name_prefix="dispatch")
        self._own = ThreadPoolExecutor(1, thread_name_prefix="dispatch-small")
        self._is_own_free = True

    async def transact(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs `work` in a transaction, which waits at each statement while a small job is claimed or started."""

        def giving(conn: Connection) -> T:
            give_way(conn)
            return work(conn, *args, **kwargs)

        return await transact(self._db, self._shared, giving)

    async def transact_small(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs `work` in a transaction of a small job."""
        WAY.take(CLAIM_SECONDS)
        if not self._is_own_free:
            return await transact(self._db, self._shared, work, *args, **kwargs)
        self._is_own_free = False
        try:
            return await transact(self._db, self._own, work, *args, **kwargs)
        finally:
            self._is_own_free = True

    async def start_next(self, *, is_small: bool) -> None:
        """Lets the event loop turn after the start of a run, so that a run of a small job is not behind 50 others."""
        if is_small:
            WAY.take(START_SECONDS)
        else:
            await WAY.give_on_loop()
        await asyncio.sleep(0)

    def close(self) -> None:
        """Stops the threads."""
        for threads in (self._shared, self._own):
            threads.shutdown(wait=False, cancel_futures=True)
