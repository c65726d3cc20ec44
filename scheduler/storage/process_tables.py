"""The table of running processes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.base import NOW, Base


class SchedulerProcess(Base):
    """A running scheduler's last heartbeat, read by /readyz and the health strip."""

    __tablename__ = "scheduler_processes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    last_pass_at: Mapped[datetime] = mapped_column(server_default=NOW)
    passes: Mapped[int] = mapped_column(server_default="0")
    recorded: Mapped[int] = mapped_column(server_default="0")
