"""Tables of how far things are: the state of polls, A2A tasks that we follow on remote agents and that remote callers
follow here, running processes, and what the watch over them remembers.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.tables.base import NOW, Base


class PollState(Base):
    """One row for each poll that was ever due, created by the pass that queued its first check."""

    __tablename__ = "poll_states"

    trigger_id: Mapped[UUID] = mapped_column(ForeignKey("triggers.id", ondelete="CASCADE"), primary_key=True)
    poll_version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Counts accepted checks. A check is only accepted at the version that it started with."""
    checking_until: Mapped[datetime | None]
    """Until when a check counts as in progress, so that no second one is queued."""
    fingerprint: Mapped[str | None]
    """A hash of the part of the config that `baseline` depends on. The baseline is invalid under any other."""
    baseline: Mapped[str | None]
    """The last value, as JSON text, since `jsonb` would refuse some strings and rewrite numbers.

    Empty: the path selected nothing. Null: no value yet.
    """
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    edited_at: Mapped[datetime | None]
    """The trigger's `updated_at` at the check that brought these; after an edit the validators are invalid.

    Null: they come from a version that returned a single-element list as a bare value.
    """
    failures: Mapped[int] = mapped_column(server_default="0")
    """Consecutive failures so far."""
    first_failure_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    note: Mapped[str | None]
    """The result of the last check: why it failed, or that the path selected nothing; null: success."""


class RemoteTask(Base):
    """The remote agent's task of an invocation. A retry follows it instead of sending again."""

    __tablename__ = "remote_tasks"

    invocation_id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str]
    """The agent's address when the task was created."""
    task_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    cancel_url: Mapped[str | None]
    """Where it is cancelled; null if it cannot be, or if its runtime does that itself."""


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


class SchedulerProcess(Base):
    """A running scheduler's last heartbeat, read by /readyz and the health strip."""

    __tablename__ = "scheduler_processes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    last_pass_at: Mapped[datetime] = mapped_column(server_default=NOW)
    passes: Mapped[int] = mapped_column(server_default="0")
    recorded: Mapped[int] = mapped_column(server_default="0")


class WatchState(Base):
    """The watch's memory between checks: a single row, created by a migration."""

    __tablename__ = "watch"
    __table_args__ = (CheckConstraint("id = 1"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default="1")
    since: Mapped[datetime] = mapped_column(server_default=NOW)
    """When somebody began to look without a gap."""
    looked_at: Mapped[datetime | None]
    is_returning: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether the latest check came late, as after a machine's sleep, and the one before did not."""
    drift_looked_at: Mapped[datetime | None]
    last_pass_at: Mapped[datetime | None]
    """Of any scheduler, even one that has signed off."""
    last_heartbeat_at: Mapped[datetime | None]
    """Of any worker."""
