"""The table of what definitions made: the mark that `reveille apply` owns an object."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.base import NOW, Base


class Definition(Base):
    """An object that `reveille apply` made or took over."""

    __tablename__ = "definitions"
    __table_args__ = (Index("ix_definitions_tenant", "tenant_id"),)

    object_id: Mapped[UUID] = mapped_column(primary_key=True)
    """A model, an agent, a trigger or a target."""
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    kind: Mapped[str]
    set_name: Mapped[str]
    """Files that are applied together; pruning looks only at its own set."""
    is_made: Mapped[bool]
    """Whether apply created it; only then is it pruned."""
    applied: Mapped[dict[str, Any]]
    """The definition without secrets, as it was last applied: what differs was edited by hand."""
    applied_at: Mapped[datetime] = mapped_column(server_default=NOW)
    applied_by: Mapped[str]
