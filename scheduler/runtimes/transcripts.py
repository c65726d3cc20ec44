"""Writes the transcripts of runs for runtimes on an event loop; the queries run in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from scheduler.domain.errors import DatabaseUnavailable
from scheduler.domain.llm import EarlierAttempts, FinishedCall, ResponseUsage
from scheduler.storage import transcripts
from scheduler.storage.engine import Database

T = TypeVar("T")
P = ParamSpec("P")

THREADS = 2
PAUSES = (0.2, 0.5, 1.0, 2.0, *[3.0] * 18)
"""The pauses between attempts while the database is unavailable, about a minute in all."""


class TranscriptWriter:
    """Records what runs do, each step in its own transaction. One per worker."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="transcripts")

    def of(self, invocation_id: UUID, attempt: int) -> RunTranscript:
        """Returns the transcript of one attempt."""
        return RunTranscript(self, invocation_id, attempt)

    def close(self) -> None:
        """Stops the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` with a transaction's connection; raises DatabaseUnavailable after a minute of outage."""

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


class RunTranscript:
    """The transcript of one attempt.

    Raises Superseded when the attempt is no longer running, and DatabaseUnavailable.
    """

    def __init__(self, writer: TranscriptWriter, invocation_id: UUID, attempt: int) -> None:
        self._writer = writer
        self._run = (invocation_id, attempt)

    async def open(self, title: str, context: str) -> EarlierAttempts:
        """Returns what earlier attempts did."""
        return await self._writer.write(transcripts.open_transcript, *self._run, title=title, context=context)

    async def add_response(self, position: int, response: str, said: str, spent: ResponseUsage) -> None:
        """Stores a response. If it is written twice because a commit's answer was lost, it is stored once."""
        await self._writer.write(transcripts.add_response, *self._run, position, response, said=said, spent=spent)

    async def add_note(self, session_id: UUID, note: str) -> None:
        """Adds a note for people about something that the model did not say or do."""
        await self._writer.write(transcripts.add_note, *self._run, session_id, note)

    async def start_call(self, session_id: UUID, key: str, name: str, arguments: str) -> None:
        """Records that a tool is about to be called."""
        await self._writer.write(
            transcripts.start_call, *self._run, session_id, key=key, name=name, arguments=arguments
        )

    async def end_call(self, session_id: UUID, key: str, ended: FinishedCall) -> None:
        """Records its result."""
        await self._writer.write(transcripts.end_call, session_id, key, ended)
