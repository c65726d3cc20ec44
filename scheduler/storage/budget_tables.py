"""The table of what was said about budgets, so that it is said once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.base import Base


class BudgetNotice(Base):
    """That an owner's budget was found nearly spent, or spent; it is not said again before `until`."""

    __tablename__ = "budget_notices"

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    """An agent or a tenant."""
    budget: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]
