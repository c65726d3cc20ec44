"""The tables of agents, triggers and their jobs, firings and invocations.

Firings and invocations are on the hot path and have no foreign keys: the reconciler finds orphans.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.domain.model import TriggerKind
from scheduler.storage.tables.base import NOT_DELETED, NOW, Base

NAMED_BY_USERS = text("deleted_at IS NULL AND NOT is_system")
NAMED_BY_SYSTEM = text("deleted_at IS NULL AND is_system")
WAITS_FOR_AGENT = text(f"type = '{TriggerKind.A2A_WAIT}' AND deleted_at IS NULL")
EXPECTED = text("expect_within IS NOT NULL AND is_enabled AND deleted_at IS NULL")
AWAITS_APPROVAL = text("approval = 'awaiting' AND deleted_at IS NULL")
LISTENS_EVERYWHERE = text(
    f"""type = '{TriggerKind.ON_MESSAGE}' AND config @> '{{"any_session": true}}' AND deleted_at IS NULL"""
)

IS_ACTIVE = "state IN ('ready', 'running', 'awaiting', 'retrying')"
"""SQL: an invocation of which its agent has only one; an index has it as its condition."""
ENDED_BADLY = text("state IN ('dead', 'skipped', 'cancelled')")
COLLECTS = text("state IN ('collecting', 'retrying')")
NEEDS_A_HUMAN = text("state IN ('dead', 'skipped') AND replayed_into IS NULL")
"""Invocations that ended without success and were not replayed."""


class Agent(Base):
    """An agent: what Reveille wakes."""

    __tablename__ = "agents"
    __table_args__ = (
        Index("uq_agents_tenant_name", "tenant_id", "name", unique=True, postgresql_where=NOT_DELETED),
        Index("ix_agents_tenant", "tenant_id", "id", postgresql_where=NOT_DELETED),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    role_description: Mapped[str] = mapped_column(server_default="")
    language: Mapped[str] = mapped_column(server_default="en")
    timezone: Mapped[str | None]
    runtime_kind: Mapped[str]
    runtime: Mapped[dict[str, Any]]
    """The runtime's settings without secrets, e.g. `{"url": …}` or `{"name": …}`."""
    runtime_secret: Mapped[bytes | None]
    """Encrypted: the secret that signs calls to an `http` agent or authenticates calls to an `a2a` agent."""
    mcp_servers: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    """The MCP servers of the agent: `{"name": …, "url": …}` or `{"name": …, "command": …}` each."""
    mcp_secrets: Mapped[bytes | None]
    """Encrypted JSON: the request headers of each MCP server, by the server's name."""
    timeout_seconds: Mapped[int] = mapped_column(server_default="600")
    dedup_delay_seconds: Mapped[float] = mapped_column(server_default="30")
    max_batch: Mapped[int] = mapped_column(server_default="100")
    max_triggers: Mapped[int] = mapped_column(server_default="20")
    min_poll_interval_min: Mapped[int] = mapped_column(server_default="5")
    webhook_rate_limit: Mapped[int] = mapped_column(server_default="5")
    max_tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)
    """Null: only the tenant's limit applies."""
    max_invocations_per_hour: Mapped[int | None]
    expect_wake_within: Mapped[float | None]
    expected_since: Mapped[datetime | None] = mapped_column(server_default=NOW)
    """Since when a wake is expected: set at first, or resumed."""
    """An alert opens when it was not woken for so many seconds."""
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    paused_note: Mapped[str | None]
    expires_at: Mapped[datetime | None]
    approve_triggers: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether triggers that the agent itself creates or changes need a person's approval."""
    reported_at: Mapped[datetime | None]
    """When the agent first reported on a run that it had accepted with 202; null: never."""
    public_card: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether its A2A card is public."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted_at: Mapped[datetime | None]


class Trigger(Base):
    """A wake condition. Its counters change with every firing: they have no index, pages leave room for HOT updates."""

    __tablename__ = "triggers"
    __table_args__ = (
        Index("uq_triggers_agent_name", "agent_id", "name", unique=True, postgresql_where=NAMED_BY_USERS),
        Index("uq_triggers_agent_system", "agent_id", "name", unique=True, postgresql_where=NAMED_BY_SYSTEM),
        Index("ix_triggers_tenant", "tenant_id", "id", postgresql_where=NOT_DELETED),
        Index("ix_triggers_tenant_name", "tenant_id", "name", postgresql_where=NOT_DELETED),
        Index("ix_triggers_agent", "agent_id", "id", postgresql_where=NOT_DELETED),
        Index("ix_triggers_owner", "agent_id"),
        Index("ix_triggers_expected", "id", postgresql_where=EXPECTED),
        Index("ix_triggers_waits", "tenant_id", "id", postgresql_where=WAITS_FOR_AGENT),
        Index("ix_triggers_awaiting", "tenant_id", "id", postgresql_where=AWAITS_APPROVAL),
        Index("ix_triggers_any_session", "tenant_id", postgresql_where=LISTENS_EVERYWHERE),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id"))
    name: Mapped[str]
    type: Mapped[str]
    config: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(server_default="")
    focus_ref: Mapped[str | None]
    zone: Mapped[str]
    """The effective zone (trigger's, else agent's, else tenant's), stored so that a pass need not look it up."""
    anchor_at: Mapped[datetime] = mapped_column(server_default=NOW)
    """The origin of an interval's slots."""
    listens_since: Mapped[datetime | None]
    """When messages start to count, if that differs from `anchor_at`: the last relevant change, or the resume."""
    urgent: Mapped[bool] = mapped_column(server_default=text("false"))
    max_fires: Mapped[int | None]
    cooldown_seconds: Mapped[float] = mapped_column(server_default="60")
    expires_at: Mapped[datetime | None]
    misfire_policy: Mapped[str] = mapped_column(server_default="latest")
    grace_seconds: Mapped[float] = mapped_column(server_default="60")
    expect_within: Mapped[float | None]
    """An alert opens when it did not do what is expected for so many seconds."""
    expect: Mapped[str] = mapped_column(server_default="firing")
    expected_since: Mapped[datetime | None] = mapped_column(server_default=NOW)
    """Since when that is expected: set at first, or resumed."""
    notification_summary: Mapped[str | None]
    """What people are told when it woke the agent, instead of its reason."""
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    paused_by: Mapped[str | None]
    """Who paused it; null: it is enabled or ended by itself. An agent cannot resume what a person paused."""
    managed_by_agent: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether the agent may change it although a person created it."""
    paused_note: Mapped[str | None]
    """Why it is disabled: a person's note, or `max_fires`, `expired`, `finished`, `quarantined: …`."""
    fire_count: Mapped[int] = mapped_column(server_default="0")
    last_fired_at: Mapped[datetime | None]
    last_wake_at: Mapped[datetime | None]
    """The due time of the window with its last firing, at that time. A cooldown starts here."""
    token_hash: Mapped[bytes | None] = mapped_column(unique=True)
    secret: Mapped[bytes | None]
    """Encrypted: the write-only part of `config`, e.g. a webhook's signing secret."""
    is_system: Mapped[bool] = mapped_column(server_default=text("false"))
    """Created by the system for its agent.

    It can be paused and changed, but not deleted, and does not count toward limits.
    """
    created_by: Mapped[str] = mapped_column(server_default="")
    root_id: Mapped[UUID | None]
    """For a trigger created by its agent in a run: the firing that started the run's chain."""
    depth: Mapped[int] = mapped_column(server_default="0")
    """The depth of that run; its firings have the same."""
    is_paced: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it shares its agent's pace, as triggers created by the agent do."""
    approval: Mapped[str | None]
    """`awaiting`, `approved` or `rejected`; null: it needs no approval. Only `approved` and null can be enabled."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted_at: Mapped[datetime | None]


class Job(Base):
    """A native APScheduler job; `next_run_time` null = paused. Narrow, because every firing updates its row."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_next_run_time", "next_run_time", postgresql_where=text("next_run_time IS NOT NULL")),
        Index("ix_jobs_tenant", "tenant_id", "next_run_time", postgresql_where=text("next_run_time IS NOT NULL")),
    )

    trigger_id: Mapped[UUID] = mapped_column(ForeignKey("triggers.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True, server_default="fire")
    next_run_time: Mapped[datetime | None]
    tenant_id: Mapped[UUID | None]
    """The tenant of its trigger, filled in by the database."""


class Firing(Base):
    """One durable record that a trigger fired, with a snapshot of the trigger, which may be deleted later."""

    __tablename__ = "firings"
    __table_args__ = (
        Index("uq_firings_occurrence", "trigger_id", "occurrence_key", unique=True),
        Index("ix_firings_invocation", "invocation_id", "id"),
        Index("ix_firings_tenant", "tenant_id", "id"),
        Index("ix_firings_trigger", "trigger_id", "id"),
        Index("ix_firings_root", "root_id", "id", postgresql_where=text("depth > 0")),
        Index("ix_firings_ack", "trigger_id", "ack", postgresql_where=text("ack IS NOT NULL")),
        Index("ix_firings_ended", "tenant_id", "state", "id", postgresql_where=ENDED_BADLY),
        Index("ix_firings_age", "fired_at", postgresql_using="brin"),
        Index("ix_firings_tenant_age", "tenant_id", "fired_at"),
        Index("ix_firings_deferred_until", "deferred_until", postgresql_where=text("ack = 'deferred'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    trigger_id: Mapped[UUID]
    trigger_name: Mapped[str]
    trigger_type: Mapped[str]
    reason: Mapped[str]
    focus_ref: Mapped[str | None]
    occurrence_key: Mapped[str]
    fired_at: Mapped[datetime]
    first_scheduled_for: Mapped[datetime | None]
    scheduled_for: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    """When its newest slot was to fire if jitter delayed it; the slot itself keeps its nominal time."""
    slot_count: Mapped[int] = mapped_column(server_default="1")
    slots_exact: Mapped[bool] = mapped_column(server_default=text("true"))
    content_type: Mapped[str | None]
    payload: Mapped[bytes | None]
    data: Mapped[dict[str, Any] | None]
    trust: Mapped[str] = mapped_column(server_default="system")
    state: Mapped[str] = mapped_column(server_default="pending")
    invocation_id: Mapped[UUID]
    root_id: Mapped[UUID]
    depth: Mapped[int] = mapped_column(server_default="0")
    ack: Mapped[str | None]
    """The agent's acknowledgement: `handled`, `deferred` or `ignored`."""
    acked_at: Mapped[datetime | None]
    deferrals: Mapped[int] = mapped_column(server_default="0")
    """How often its agent deferred it."""
    deferred_until: Mapped[datetime | None]
    """When a deferred firing comes back, or came back."""


class Invocation(Base):
    """One wake of one agent. While `collecting` it is the agent's open window."""

    __tablename__ = "invocations"
    __table_args__ = (
        Index("uq_invocations_collecting", "agent_id", unique=True, postgresql_where=text("state = 'collecting'")),
        Index(
            "uq_invocations_active",
            "agent_id",
            unique=True,
            postgresql_where=text(IS_ACTIVE),
        ),
        Index("ix_invocations_due", "due_at", postgresql_where=COLLECTS),
        Index("ix_invocations_tenant_due", "tenant_id", "due_at", postgresql_where=COLLECTS),
        Index("ix_invocations_tenant", "tenant_id", "id"),
        Index("ix_invocations_agent", "agent_id", "id"),
        Index("ix_invocations_state", "tenant_id", "state", "id"),
        Index("ix_invocations_dead", "tenant_id", "id", postgresql_where=NEEDS_A_HUMAN),
        Index("ix_invocations_replayed", "agent_id", "id", postgresql_where=text("replayed_into IS NOT NULL")),
        Index("ix_invocations_ready", "agent_id", "ready_at", postgresql_where=text("ready_at IS NOT NULL")),
        Index("ix_invocations_age", "finished_at", postgresql_using="brin"),
        Index("ix_invocations_tenant_age", "tenant_id", "finished_at"),
        Index("ix_invocations_held_until", "held_until", postgresql_where=text("held_until IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default="collecting")
    opened_at: Mapped[datetime] = mapped_column(server_default=NOW)
    due_at: Mapped[datetime | None]
    """When the window closes or the next attempt starts; null while held."""
    held_reason: Mapped[str | None]
    held_until: Mapped[datetime | None]
    """When a window held for a budget is checked again."""
    held_note: Mapped[str | None]
    firing_count: Mapped[int] = mapped_column(server_default="0")
    firing_ids: Mapped[list[UUID] | None]
    """Set when the window closes, oldest first."""
    ready_at: Mapped[datetime | None]
    """When its window closed."""
    started_at: Mapped[datetime | None]
    """When its latest attempt began."""
    finished_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(server_default="0")
    tries: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    """One `{attempt, started_at, ended_at, outcome, error}` for each ended attempt."""
    reason: Mapped[str | None]
    cancel_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    worker: Mapped[str | None]
    context: Mapped[str | None]
    reply: Mapped[str | None]
    reply_truncated: Mapped[bool] = mapped_column(server_default=text("false"))
    complete_token_hash: Mapped[bytes | None]
    replayed_into: Mapped[UUID | None]
    tokens_in: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens_out: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cost: Mapped[Decimal] = mapped_column(server_default="0")
