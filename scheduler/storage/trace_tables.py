"""Tables of traces: the origin of firings, and how far ended wakes were exported."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.base import Base


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
