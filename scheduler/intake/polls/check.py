"""Checks queued polls in a worker, many at once, none waiting for another."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from scheduler.domain.clock import Clock
from scheduler.domain.errors import ConfigurationError
from scheduler.domain.permissions import NOTHING_PERMITTED, Permitted
from scheduler.firings.quarantine import quarantine_trigger
from scheduler.intake.polls.custom_checks import CustomCheck, CustomChecker, is_custom, open_custom
from scheduler.intake.polls.look import PollChecker
from scheduler.intake.polls.results import CheckDecision, LookFailed, Unchanged
from scheduler.intake.polls.settle import CheckedTrigger, Poll, Result, open_poll, quiet_end, settle
from scheduler.intake.polls.statements import QuietEnd, StoredPoll, end_quietly, read_polls
from scheduler.intake.polls.worker_resources import Parts
from scheduler.metrics import POLLS
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.engine import Database, transact
from scheduler.storage.faults import blames_rows, first_line
from scheduler.storage.secrets import SecretBox
from scheduler.triggers.base import faults_of
from scheduler.triggers.poll import PollConfig

READING_THREADS = 2
GATHERED_SECONDS = 1.0
PUBLIC_ONLY = AllowedPrivate()
MAX_OPEN_REQUESTS = 700
"""Each holds a socket, of which a process has 1,024 by default. Only hanging servers come near this."""


class Poller:
    """Checks polls on one event loop, with its own threads for the database and for reading responses."""

    def __init__(
        self,
        db: Database,
        box: SecretBox,
        client: GuardedClient,
        clock: Clock,
        allow_private: AllowedPrivate = PUBLIC_ONLY,
        permitted: Permitted = NOTHING_PERMITTED,
    ) -> None:
        """Uses one of `db`'s connections at a time. For use on a single event loop."""
        self._db = db
        self._box = box
        # Own threads, so that a slow path or statement does not block those that invocations need.
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="polls-write")
        self._reading = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="polls-read")
        self._looker = PollChecker(client, clock, self._reading)
        self._watcher = CustomChecker(
            Parts(client, allow_private, clock, permitted, self._looker.reader_processes)
        )
        self._open_requests = asyncio.Semaphore(MAX_OPEN_REQUESTS)

    async def check(self, looks: Collection[tuple[UUID, int]]) -> None:
        """The Procrastinate job: checks these polls if they still have this version. Never raises.

        A result with something to fire or record is settled at once. The others, new baselines among them, are
        written together: those of the whole job, or of each GATHERED_SECONDS while a slow server keeps it waiting.
        """
        try:
            polls = await transact(self._db, self._writing, read_polls, looks)
            async with asyncio.TaskGroup() as group:
                waiting = {group.create_task(self._check(poll)) for poll in polls}
                while waiting:
                    done, waiting = await asyncio.wait(waiting, timeout=GATHERED_SECONDS)
                    await self._end([checked for each in done if (checked := each.result()) is not None])
        except Exception as error:  # noqa: BLE001  # nothing moved: they are looked at when next due
            logger.opt(exception=error).warning("A job of {} polls failed", len(looks))

    def close(self) -> None:
        """Stops the threads."""
        self._writing.shutdown(wait=False, cancel_futures=True)
        self._reading.shutdown(wait=False, cancel_futures=True)
        self._looker.close()
        self._watcher.close()

    async def _check(self, stored: StoredPoll) -> tuple[CheckedTrigger, Result, QuietEnd] | None:
        """Checks and settles; returns what is left to write together."""
        try:
            poll, look = await self._look(stored)
            with faults_of(stored.type):
                end = quiet_end(poll, look)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with this poll is wrong with this poll only
            await self._quarantine(stored, error)
            return None
        POLLS.labels(stored.type, _result(look, end)).inc()
        if end is not None:
            return poll, look, end
        await self._settle(poll, look)
        return None

    async def _look(self, stored: StoredPoll) -> tuple[CheckedTrigger, Result]:
        try:
            if is_custom(stored):
                with faults_of(stored.type):
                    watch = open_custom(stored, self._box)
                return watch, await self._watcher.look(watch)
            poll = open_poll(stored, self._box)
        except ConfigurationError as error:
            return Poll(stored, PollConfig.model_construct(**stored.config)), LookFailed(error.message)
        async with self._open_requests:
            return poll, await self._looker.look(poll.config, poll.validators(), poll.baseline())

    async def _end(self, checked: Sequence[tuple[CheckedTrigger, Result, QuietEnd]]) -> None:
        try:
            written = await transact(self._db, self._writing, end_quietly, [end for _, _, end in checked])
        except Exception as error:
            if not blames_rows(error):
                raise
            written = set()  # one of them cannot be stored: each is settled alone
        for poll, look, _ in checked:
            if poll.stored.id not in written:  # edited, or checked by another worker meanwhile
                await self._settle(poll, look)

    async def _settle(self, poll: CheckedTrigger, look: Result) -> None:
        try:
            taken = await transact(self._db, self._writing, _settle, poll, look)
        except Exception as error:  # noqa: BLE001  # this poll's affair; its baseline has not moved
            await self._quarantine(poll.stored, error)
            return
        if taken is not None and isinstance(poll, CustomCheck) and isinstance(look, CheckDecision):
            await self._watcher.tell_settled(poll, look, taken)

    async def _quarantine(self, stored: StoredPoll, error: Exception) -> None:
        """Stops a trigger whose check cannot be accepted, unless the cause is a temporary database problem."""
        logger.opt(exception=error).warning("The check of trigger {} failed unexpectedly", stored.id)
        if not blames_rows(error):
            return
        try:
            await transact(self._db, self._writing, quarantine_trigger, stored.id, error)
        except Exception as second:  # noqa: BLE001  # it is looked at when next due
            logger.error("Trigger {} cannot be quarantined: {}", stored.id, first_line(second))


def _result(look: Result, end: QuietEnd | None) -> str:
    if isinstance(look, LookFailed):
        return "failed"
    is_same = isinstance(look, Unchanged) or (end is not None and end.baseline is None)
    return "unchanged" if is_same else "changed"


def _settle(conn: Connection, poll: CheckedTrigger, look: Result) -> Sequence[str] | None:
    with faults_of(poll.stored.type):
        return settle(conn, poll, look)
