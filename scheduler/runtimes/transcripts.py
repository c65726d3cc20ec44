"""The transcripts of runs, for runtimes on an event loop: the database works in threads, and is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from scheduler.domain.errors import DatabaseUnavailable
from scheduler.domain.llm import EndedCall, Past, Spent
from scheduler.storage import transcripts
from scheduler.storage.engine import Database

T = TypeVar("T")
P = ParamSpec("P")

THREADS = 2
PAUSES = (0.2, 0.5, 1.0, 2.0, *[3.0] * 18)
"""Between attempts while the database is away: for about a minute."""


class Journal:
    """Writes what runs do, each step in a transaction of its own. One for a worker."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="journal")

    def of(self, invocation_id: UUID, attempt: int) -> RunJournal:
        """The journal of one try."""
        return RunJournal(self, invocation_id, attempt)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` with a transaction's connection; DatabaseUnavailable when that stays away for a minute."""

        def call() -> T:
            with self._db.begin() as conn:
                return work(conn, *args, **kwargs)

        for pause in PAUSES:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
            except DatabaseUnavailable as error:
                logger.warning("A transcript waits for the database: {}", error)
                await asyncio.sleep(pause)
        raise DatabaseUnavailable


class RunJournal:
    """What one try did. Raises Superseded when the try is not running any more, and DatabaseUnavailable."""

    def __init__(self, journal: Journal, invocation_id: UUID, attempt: int) -> None:
        self._journal = journal
        self._run = (invocation_id, attempt)

    async def open(self, title: str, context: str) -> Past:
        """What earlier tries did."""
        return await self._journal.write(transcripts.open_transcript, *self._run, title=title, context=context)

    async def add_response(self, position: int, response: str, said: str, spent: Spent) -> None:
        """Keep a response. Written twice, because a commit's answer was lost, it is kept once."""
        await self._journal.write(transcripts.add_response, *self._run, position, response, said=said, spent=spent)

    async def add_note(self, session_id: UUID, note: str) -> None:
        """Tell people of something that the model did not say or do."""
        await self._journal.write(transcripts.add_note, *self._run, session_id, note)

    async def start_call(self, session_id: UUID, key: str, name: str, arguments: str) -> None:
        """Note that a tool is about to be called."""
        await self._journal.write(
            transcripts.start_call, *self._run, session_id, key=key, name=name, arguments=arguments
        )

    async def end_call(self, session_id: UUID, key: str, ended: EndedCall) -> None:
        """Note what it returned."""
        await self._journal.write(transcripts.end_call, session_id, key, ended)
