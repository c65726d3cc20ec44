"""Tables that extend agents: the pace of self-created triggers, notes, and budget notices."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.base import NOW, Base


class AgentPace(Base):
    """When an agent was last, or will next be, woken by triggers that it created itself."""

    __tablename__ = "agent_paces"

    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    woken_at: Mapped[datetime]
    """When the window with the latest of their firings was due."""
    noted_at: Mapped[datetime | None]
    """When the audit trail last recorded that they were delayed."""


class AgentNotes(Base):
    """The notes that an agent keeps between runs."""

    __tablename__ = "agent_notes"

    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True)
    tenant_id: Mapped[UUID]
    text: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_by: Mapped[str]


class BudgetNotice(Base):
    """Records that an owner's budget is nearly or fully spent. The notice is not repeated before `until`."""

    __tablename__ = "budget_notices"

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    """An agent or a tenant."""
    budget: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]
