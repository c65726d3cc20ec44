"""The tables of A2A: the tasks that we follow elsewhere, and the tasks that others follow here."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.base import NOW, Base


class RemoteTask(Base):
    """The task at a remote agent that an invocation is about: a retry follows it instead of sending again."""

    __tablename__ = "remote_tasks"

    invocation_id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str]
    """Where the agent was when the task was made."""
    task_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class A2aTask(Base):
    """A message that came by A2A; its task is the firing that it made. A sender's message is taken once."""

    __tablename__ = "a2a_tasks"
    __table_args__ = (
        Index("uq_a2a_tasks_message", "agent_id", "key_id", "message_id", unique=True),
        Index("ix_a2a_tasks_agent", "agent_id", "firing_id"),
    )

    firing_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    key_id: Mapped[UUID]
    """The API key of the sender."""
    message_id: Mapped[str]
    context_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
