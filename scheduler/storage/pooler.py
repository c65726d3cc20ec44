"""Connections that may go through a pooler such as PgBouncer, which lends a session for one transaction at a time.

What is set at the start of a session does not come through; what is prepared or listened to in one is not there in
the next transaction. The time zone does come through: poolers follow it.
"""

from __future__ import annotations

from typing import Any

import psycopg

OPEN = "SELECT pg_backend_pid(), set_config('TimeZone', 'UTC', false)"
"""In UTC: the driver reads times in the session's zone, and in another one a day may have 23 hours."""

BACKEND = b"SELECT pg_backend_pid()"
NEEDS_TRANSACTIONS = (
    "The pooler of DATABASE_URL works statement by statement, and Reveille needs transactions: "
    "set `pool_mode = transaction` in PgBouncer."
)


def open_session(connection: psycopg.Connection[Any]) -> bool:
    """Prepare a new connection for work; whether a pooler stands before the server."""
    row = connection.execute(OPEN).fetchone()
    connection.commit()
    pooled = row is None or row[0] != connection.info.backend_pid
    if pooled:
        connection.prepare_threshold = None
    return pooled


async def open_async_session(connection: psycopg.AsyncConnection[Any]) -> None:
    """Prepare a new connection of Procrastinate for work."""
    cursor = await connection.execute(BACKEND)
    row = await cursor.fetchone()
    await connection.commit()
    if row is None or tuple(row) != (connection.info.backend_pid,):
        connection.prepare_threshold = None


def hears(connection: psycopg.Connection[Any]) -> bool:
    """Whether a LISTEN on this connection hears anything; a pooler, which shows a pid of its own, keeps it away."""
    row = connection.execute(BACKEND).fetchone()
    return row is not None and row[0] == connection.info.backend_pid


async def hears_async(libpq_url: str) -> bool:
    """Whether a LISTEN at this address would hear anything."""
    async with await psycopg.AsyncConnection.connect(libpq_url, connect_timeout=5) as connection:
        cursor = await connection.execute(BACKEND)
        row = await cursor.fetchone()
        return row is not None and row[0] == connection.info.backend_pid


def is_by_statement(error: BaseException) -> bool:
    """Whether a pooler refused a transaction, since it lends sessions for single statements."""
    return "statement pooling mode" in str(error)
