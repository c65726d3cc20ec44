"""Stores the trace context of firings."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.arrays import uuid_array

KEEP = text("""
    INSERT INTO firing_traces (firing_id, traceparent)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:texts AS text[])) ON CONFLICT DO NOTHING
""")


def keep_traceparents(conn: Connection, found: Mapping[UUID, str]) -> None:
    """Stores the trace context of firings."""
    if found:
        conn.execute(KEEP, {"ids": uuid_array(found), "texts": [*found.values()]})
