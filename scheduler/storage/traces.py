"""Stores the trace context of firings, and until when ended invocations were exported."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.arrays import uuid_array
from scheduler.storage.tables.base import Base

KEEP = text("""
    INSERT INTO firing_traces (firing_id, traceparent)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:texts AS text[])) ON CONFLICT DO NOTHING
""")


class FiringTrace(Base):
    """The `traceparent` that came with what fired; only firings that had one are here."""

    __tablename__ = "firing_traces"

    firing_id: Mapped[UUID] = mapped_column(primary_key=True)
    traceparent: Mapped[str]


class TraceExport(Base):
    """Until when ended invocations were exported, in one row."""

    __tablename__ = "trace_exports"

    id: Mapped[int] = mapped_column(primary_key=True)
    until: Mapped[datetime]


def keep_traceparents(conn: Connection, found: Mapping[UUID, str]) -> None:
    """Stores the trace context of firings."""
    if found:
        conn.execute(KEEP, {"ids": uuid_array(found), "texts": [*found.values()]})
