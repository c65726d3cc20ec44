"""The tables of agents beside their settings: pace of their own triggers, notes, and notices about budgets."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.base import NOW, Base


class AgentPace(Base):
    """When an agent is woken, or was, by triggers that it made itself."""

    __tablename__ = "agent_paces"

    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    woken_at: Mapped[datetime]
    """When the window that took the last of their firings was due."""
    noted_at: Mapped[datetime | None]
    """When the audit trail last told that they had to wait."""


class AgentNotes(Base):
    """What an agent keeps from run to run."""

    __tablename__ = "agent_notes"

    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True)
    tenant_id: Mapped[UUID]
    text: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_by: Mapped[str]


class BudgetNotice(Base):
    """That an owner's budget was found nearly spent, or spent; it is not said again before `until`."""

    __tablename__ = "budget_notices"

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    """An agent or a tenant."""
    budget: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]
