"""The doctor's check of a pooler in front of the database, and of the address that bypasses it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from sqlalchemy import Connection, text

from scheduler.commands.findings import Finding, fail, ok, warn
from scheduler.storage.engine import POOLED
from scheduler.storage.pooler import hears

NAME = "pooler"
DATABASE = (
    "SELECT pg_postmaster_start_time()::text, (SELECT oid FROM pg_database WHERE datname = current_database())"
)
SET_DIRECT = "set DATABASE_DIRECT_URL to the address of PostgreSQL itself"


def check_pooler(conn: Connection, direct_url: str | None) -> Iterator[Finding]:
    """Checks what is in front of the database, and whether session features work."""
    is_pooled = conn.info[POOLED]
    if direct_url is not None:
        yield _direct(conn, direct_url, "through a transaction pooler," if is_pooled else "without a pooler")
    elif is_pooled:
        yield warn(NAME, "a pooler blocks NOTIFY, so schedulers and pages poll every second", SET_DIRECT)


def _direct(conn: Connection, direct_url: str, how: str) -> Finding:
    here = tuple(conn.execute(text(DATABASE)).one())
    try:
        with psycopg.connect(direct_url, connect_timeout=5, autocommit=True) as direct:
            there, is_direct = direct.execute(DATABASE.encode()).fetchone(), hears(direct)
    except psycopg.Error as error:
        found = (
            f"DATABASE_DIRECT_URL does not answer: {(str(error).strip().splitlines() or ['no reason given'])[0]}"
        )
        return fail(NAME, found, "correct it, or take it away")
    if there != here:
        return fail(NAME, "DATABASE_DIRECT_URL is a different database from DATABASE_URL", "correct one of them")
    if not is_direct:
        return warn(NAME, "DATABASE_DIRECT_URL goes through a pooler, which blocks NOTIFY", SET_DIRECT)
    return ok(NAME, f"{how} LISTEN goes by DATABASE_DIRECT_URL")
