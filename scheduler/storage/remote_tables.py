"""A2A tables: tasks that we follow on remote agents, and tasks that remote callers follow here."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.base import NOW, Base


class RemoteTask(Base):
    """The remote agent's task of an invocation. A retry follows it instead of sending again."""

    __tablename__ = "remote_tasks"

    invocation_id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str]
    """The agent's address when the task was created."""
    task_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class A2aTask(Base):
    """A message received over A2A; its task is the first message's firing. A sender's message is accepted once."""

    __tablename__ = "a2a_tasks"
    __table_args__ = (
        Index("uq_a2a_tasks_message", "agent_id", "key_id", "message_id", unique=True),
        Index("ix_a2a_tasks_agent", "agent_id", "firing_id"),
        Index("ix_a2a_tasks_conversation", "agent_id", "context_id", "firing_id"),
        Index("ix_a2a_tasks_task", "task_id", postgresql_where=text("task_id IS NOT NULL")),
    )

    firing_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    key_id: Mapped[UUID]
    """The sender's API key."""
    message_id: Mapped[str]
    context_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    task_id: Mapped[UUID | None]
    """The task that the message continues; null for the first message of one."""
    last_firing_id: Mapped[UUID | None]
    """The newest message of the task, on the row of the first; null while that is the only one."""
