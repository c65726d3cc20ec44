"""Stores which remote agent's task an invocation follows."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from scheduler.storage.engine import Database
from scheduler.storage.tables.progress import RemoteTask


@dataclass(frozen=True, slots=True)
class KnownTask:
    """A remote agent's task and the agent's address when it was created."""

    url: str
    task_id: str
    cancel_url: str | None = None
    """Where it is cancelled when its invocation is."""


def find_cancellable(conn: Connection, invocation_ids: Collection[UUID]) -> list[UUID]:
    """Returns those of the invocations whose run can be cancelled at its service."""
    if not invocation_ids:
        return []
    query = select(RemoteTask.invocation_id).where(
        RemoteTask.invocation_id.in_(invocation_ids), RemoteTask.cancel_url.is_not(None)
    )
    return list(conn.execute(query).scalars())


class RemoteTasks:
    """Remembers the newest task of each invocation. Safe to call on an event loop: queries run in a thread."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def recall(self, invocation_id: UUID) -> KnownTask | None:
        """Returns the task that an earlier attempt created. Raises DatabaseUnavailable."""
        return await asyncio.to_thread(self._recall, invocation_id)

    async def remember(self, invocation_id: UUID, task: KnownTask) -> None:
        """Stores the task for the next attempt. Raises DatabaseUnavailable."""
        await asyncio.to_thread(self._remember, invocation_id, task)

    def _recall(self, invocation_id: UUID) -> KnownTask | None:
        columns = (RemoteTask.url, RemoteTask.task_id, RemoteTask.cancel_url)
        query = select(*columns).where(RemoteTask.invocation_id == invocation_id)
        with self._db.begin() as conn:
            row = conn.execute(query).one_or_none()
        return None if row is None else KnownTask(*row)

    def _remember(self, invocation_id: UUID, task: KnownTask) -> None:
        made = asdict(task) | {"created_at": func.clock_timestamp()}
        with self._db.begin() as conn:
            conn.execute(
                insert(RemoteTask)
                .values(invocation_id=invocation_id, **made)
                .on_conflict_do_update(index_elements=["invocation_id"], set_=made)
            )
