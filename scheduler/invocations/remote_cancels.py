"""Cancels a remote run after its invocation was cancelled, or given up, here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection, select

from scheduler.domain.errors import ReveilleError
from scheduler.domain.run import CancelsRuns, RunAgent, RunRequest, Runtime, RuntimeSpec
from scheduler.queue.tasks import defer_cancels
from scheduler.storage.audit import record_event
from scheduler.storage.engine import Database
from scheduler.storage.rows import row_as
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.core import Agent, Invocation
from scheduler.storage.tables.progress import RemoteTask

PAUSES = (0.0, 1.0, 4.0, 15.0)
"""The seconds before each attempt while the service cannot be reached."""
TIMEOUT_SECONDS = 15.0

_COLUMNS = (
    RemoteTask.cancel_url,
    Invocation.tenant_id,
    Invocation.attempt,
    Agent.id,
    Agent.name,
    Agent.runtime_kind,
    Agent.runtime,
    Agent.runtime_secret,
)


class RemoteRun(NamedTuple):
    """A run at a service, with its agent and the agent's settings now."""

    cancel_url: str | None
    tenant_id: UUID
    attempt: int
    id: UUID
    """The agent's."""
    name: str
    runtime_kind: str
    runtime: dict[str, Any]
    runtime_secret: bytes | None


class Canceller:
    """Cancels runs with the current settings of their agents, and audits the result."""

    def __init__(self, db: Database, make_runtime: Callable[[RuntimeSpec], Runtime], box: SecretBox) -> None:
        self._db = db
        self._make_runtime = make_runtime
        self._box = box

    async def cancel(self, invocation_id: UUID) -> None:
        """The Procrastinate job: cancels the run of an invocation. Tries again while the service is unavailable.

        When a shutdown cancels it, it is left to another worker; a dead worker's is by `sweep_checks`.
        """
        row = await asyncio.to_thread(self._read, invocation_id)
        if row is None or row.cancel_url is None:
            return
        try:
            problem = await self._try(invocation_id, row, row.cancel_url)
        except asyncio.CancelledError:
            with self._db.begin() as conn:
                defer_cancels(conn, [invocation_id])
            raise
        if problem is not None:
            logger.warning("The run of invocation {} was not cancelled at its service: {}", invocation_id, problem)
        await asyncio.to_thread(self._tell, invocation_id, row, problem)

    async def _try(self, invocation_id: UUID, row: RemoteRun, cancel_url: str) -> str | None:
        """Returns why it could not be cancelled; None if it was."""
        problem = ""
        for pause in PAUSES:
            await asyncio.sleep(pause)
            try:
                runtime = self._make_runtime(self._spec(row))
                if not isinstance(runtime, CancelsRuns):
                    return f"Agents of the runtime {row.runtime_kind} cannot cancel a run."
                await runtime.cancel(_request(invocation_id, row), cancel_url)
            except ReveilleError as error:
                problem = error.message
                if error.permanent:
                    break
            else:
                return None
        return problem

    def _spec(self, row: RemoteRun) -> RuntimeSpec:
        secret = None if row.runtime_secret is None else self._box.decrypt(row.runtime_secret)
        return RuntimeSpec(row.runtime_kind, row.runtime, secret, TIMEOUT_SECONDS)

    def _read(self, invocation_id: UUID) -> RemoteRun | None:
        query = (
            select(*_COLUMNS)
            .join(Invocation, Invocation.id == RemoteTask.invocation_id)
            .join(Agent, Agent.id == Invocation.agent_id)
            .where(RemoteTask.invocation_id == invocation_id)
        )
        with self._db.begin() as conn:
            return row_as(RemoteRun, conn.execute(query))

    def _tell(self, invocation_id: UUID, row: RemoteRun, problem: str | None) -> None:
        with self._db.begin() as conn:
            record_end(conn, invocation_id, row, problem)


def record_end(conn: Connection, invocation_id: UUID, row: RemoteRun, problem: str | None) -> None:
    """Audits the result."""
    record_event(
        conn,
        action="invocation.run_cancelled" if problem is None else "invocation.run_not_cancelled",
        tenant_id=row.tenant_id,
        subject_id=invocation_id,
        agent_id=row.id,
        attempt=row.attempt,
        **({} if problem is None else {"error": problem[:500]}),
    )


def _request(invocation_id: UUID, row: RemoteRun) -> RunRequest:
    """Returns a request without content: of it, headers can have ids only."""
    return RunRequest(
        invocation_id=invocation_id,
        attempt=row.attempt,
        complete_url="",
        complete_token="",  # nosec B106
        agent=RunAgent(id=row.id, name=row.name),
        context="",
        firings=(),
    )
