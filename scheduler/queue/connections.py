"""The connections on which Procrastinate works.

Each of its calls is one statement: in a transaction of its own, after a check of the connection, it would take four
round trips.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from procrastinate import PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from scheduler.storage.engine import PING_AFTER
from scheduler.storage.pooler import open_async_session
from scheduler.storage.silent_connections import CONNECTION, PatientAsyncConnection


def make_connector(
    libpq_url: str,
    *,
    min_size: int,
    max_size: int,
    configure: Callable[[psycopg.AsyncConnection], Awaitable[None]] = open_async_session,
) -> PsycopgConnector:
    """Creates the connector for a pool of so many connections, each of which `configure` prepares."""
    return PsycopgConnector(
        pool_factory=_make_pool,
        conninfo=libpq_url,
        min_size=min_size,
        max_size=max_size,
        timeout=5.0,
        reconnect_timeout=2.0,
        connection_class=PatientAsyncConnection,
        kwargs={"application_name": "reveille-jobs", **CONNECTION},
        configure=configure,
    )


def _make_pool(**arguments: Any) -> AsyncConnectionPool[psycopg.AsyncConnection]:
    """Creates the pool; Procrastinate's own check is a round trip before each statement."""
    return AsyncConnectionPool(**arguments | {"check": _check_idle})


async def _check_idle(connection: PatientAsyncConnection) -> None:
    """Raises an error, for the connection to be replaced, if it was idle for a while and the server is gone."""
    if time.monotonic() - connection.answered_at > PING_AFTER:
        await AsyncConnectionPool.check_connection(connection)
