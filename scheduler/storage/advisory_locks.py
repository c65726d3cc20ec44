"""The advisory locks of PostgreSQL that Reveille takes by number: all here, so that no two have the same.

Locks by the hash of a name, of pairs of agents and of keyed requests, are of the other 2^64.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import Connection, text

TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")


class AdvisoryLock(IntEnum):
    """What one process at a time does, until its transaction ends."""

    MIGRATE = 7_383_001
    SWEEP = 7_383_002
    RECONCILE = 7_383_003
    RECONCILE_JOBS = 7_383_004
    RETURN_DEFERRED = 7_383_005
    PRUNE = 7_383_006
    PLACES = 7_383_010
    """With a second number: the hash of a tenant's id."""


def try_lock(conn: Connection, lock: AdvisoryLock) -> bool:
    """Take a lock until this transaction ends, unless another holds it."""
    return bool(conn.execute(TRY_LOCK, {"key": lock.value}).scalar_one())
