"""Prepares connections that may go through a pooler such as PgBouncer, which lends a session for one transaction.

Settings made at the start of a session, prepared statements and LISTEN do not survive. The time zone does: poolers
track it.
"""

from __future__ import annotations

from typing import Any

import psycopg

from scheduler.storage.silent_connections import CONNECTION, PatientAsyncConnection

OPEN = "SELECT pg_backend_pid(), set_config('TimeZone', 'UTC', false)"
"""UTC, because the driver reads times in the session's zone, where a day may have 23 hours."""

QUICKLY = b"SET synchronous_commit = off"
"""For what can be done again if a crash of the server undoes its last moment."""

BACKEND = b"SELECT pg_backend_pid()"
NEEDS_TRANSACTIONS = (
    "The pooler at DATABASE_URL uses statement pooling, but Reveille needs transactions: "
    "set `pool_mode = transaction` in PgBouncer."
)


def open_session(connection: psycopg.Connection[Any]) -> bool:
    """Prepares a new connection. Returns whether there is a pooler in between."""
    row = connection.execute(OPEN).fetchone()
    connection.commit()
    pooled = row is None or row[0] != connection.info.backend_pid
    if pooled:
        connection.prepare_threshold = None
    return pooled


async def open_async_session(connection: psycopg.AsyncConnection[Any]) -> None:
    """Prepares a new connection for Procrastinate, where each statement is a transaction."""
    await connection.set_autocommit(True)
    cursor = await connection.execute(BACKEND)
    row = await cursor.fetchone()
    if row is None or tuple(row) != (connection.info.backend_pid,):
        connection.prepare_threshold = None


async def open_quick_session(connection: psycopg.AsyncConnection[Any]) -> None:
    """Prepares a new connection whose commits do not wait for the disk, where its session is its own."""
    await open_async_session(connection)
    if connection.prepare_threshold is not None:
        await connection.execute(QUICKLY)


def supports_listen(connection: psycopg.Connection[Any]) -> bool:
    """Whether LISTEN works on this connection. Behind a pooler, which reports a different pid, it does not."""
    row = connection.execute(BACKEND).fetchone()
    return row is not None and row[0] == connection.info.backend_pid


async def supports_listen_async(libpq_url: str) -> bool:
    """Whether LISTEN would work at this address."""
    async with await PatientAsyncConnection.connect(libpq_url, **CONNECTION) as connection:
        cursor = await connection.execute(BACKEND)
        row = await cursor.fetchone()
        return row is not None and row[0] == connection.info.backend_pid


def is_by_statement(error: BaseException) -> bool:
    """Whether a pooler refused a transaction because it pools by statement."""
    return "statement pooling mode" in str(error)
