"""Defines all numbered PostgreSQL advisory locks in one place, so that no two share a number.

Locks keyed by a hash (names, pairs of agents, keyed requests) use the other, 64-bit key space.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import Connection, text

TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")


class AdvisoryLock(IntEnum):
    """Work that only one process does at a time, until its transaction ends."""

    MIGRATE = 7_383_001
    SWEEP = 7_383_002
    RECONCILE = 7_383_003
    RECONCILE_JOBS = 7_383_004
    RETURN_DEFERRED = 7_383_005
    PRUNE = 7_383_006
    WATCH = 7_383_007
    CANARY = 7_383_008
    PLACES = 7_383_010
    """Taken with a second number: the hash of a tenant's id."""


def try_lock(conn: Connection, lock: AdvisoryLock) -> bool:
    """Takes a lock until this transaction ends. Returns whether it was free."""
    return bool(conn.execute(TRY_LOCK, {"key": lock.value}).scalar_one())
