"""Tables of tenants and of the pause of the whole service; of their keys, users and sessions; of their models;
and what extends their agents: the pace of self-created triggers, notes, and budget notices.
"""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.tables.base import NOW, Base


class Tenant(Base):
    """The owner of agents."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    timezone: Mapped[str] = mapped_column(server_default="UTC")
    default_max_triggers: Mapped[int] = mapped_column(server_default="20")
    min_poll_interval_min: Mapped[int] = mapped_column(server_default="5")
    max_webhook_rate: Mapped[int] = mapped_column(server_default="5")
    max_webhook_body_bytes: Mapped[int] = mapped_column(server_default="1048576")
    max_tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)
    """The limit for all its agents together; null: no limit."""
    max_invocations_per_hour: Mapped[int | None]
    max_concurrent_runs: Mapped[int | None]
    keep_firings_days: Mapped[int | None]
    """How many days each kind of history is kept: 0 means forever, null the installation's default."""
    keep_invocations_days: Mapped[int | None]
    keep_deliveries_days: Mapped[int | None]
    keep_messages_days: Mapped[int | None]
    keep_notifications_days: Mapped[int | None]
    keep_audit_days: Mapped[int | None]
    min_heartbeat_interval: Mapped[int] = mapped_column(server_default="240")
    """The minimum minutes between two heartbeats of an agent."""
    alert_quiet_hours: Mapped[str | None]
    """Hours of the day, such as `22:00-07:00`, in which nobody is told of alerts."""
    cost_budget_per_month: Mapped[float | None]
    """What a month may cost: the pages and the API show the cost against it."""
    alert_remind_minutes: Mapped[int | None]
    badge_hash: Mapped[bytes | None] = mapped_column(unique=True)
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    paused_note: Mapped[str | None]
    paused_by: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    resumed_at: Mapped[datetime | None]
    is_system: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it is the system's own, and no list shows it."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ServicePause(Base):
    """Whether the whole service is paused: a single row, created by a migration."""

    __tablename__ = "service_pause"
    __table_args__ = (CheckConstraint("id = 1"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default="1")
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    paused_note: Mapped[str | None]
    paused_by: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    resumed_at: Mapped[datetime | None]


class ApiKey(Base):
    """A key's hash and its permissions. `tenant_id` null: an operator key, which acts on any tenant."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    revoked_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """Accurate to a minute."""


class WebUser(Base):
    """A person with a password. `tenant_id` null: an operator, who may view any tenant."""

    __tablename__ = "web_users"
    __table_args__ = (
        Index("uq_web_users_name", "name", unique=True),
        Index("ix_web_users_tenant", "tenant_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    name: Mapped[str]
    """Unique across tenants, as the name and password are all that a user types."""
    password_hash: Mapped[str]
    scope: Mapped[str]
    """`admin`, `write` or `read`, as for an API key."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class WebSession(Base):
    """A signed-in key or user viewing `tenant_id`. Only the hash of the cookie is stored."""

    __tablename__ = "web_sessions"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("web_users.id", ondelete="CASCADE"), index=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Model(Base):
    """A provider's model as configured by a tenant.

    The API key is in `key` (encrypted) or in the variable `key_env`.
    """

    __tablename__ = "models"
    __table_args__ = (
        Index("uq_models_tenant_name", "tenant_id", "name", unique=True),
        Index("ix_models_tenant", "tenant_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    name: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    """The provider's name of the model."""
    base_url: Mapped[str | None]
    key: Mapped[bytes | None]
    key_env: Mapped[str | None]
    is_enabled: Mapped[bool] = mapped_column(server_default="true")
    max_output_tokens: Mapped[int | None]
    input_price: Mapped[Decimal] = mapped_column(server_default="0")
    """Per million tokens, in the owner's currency."""
    output_price: Mapped[Decimal] = mapped_column(server_default="0")
    created_at: Mapped[dt.datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[dt.datetime] = mapped_column(server_default=NOW)


class ModelResponse(Base):
    """One response of a model as pydantic-ai serializes it. A retry continues from these."""

    __tablename__ = "model_responses"

    invocation_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    response: Mapped[str]
    """JSON as text: `jsonb` refuses U+0000, which models can write."""
    created_at: Mapped[dt.datetime] = mapped_column(server_default=NOW)


class AgentUsage(Base):
    """What an agent spent on one day in its time zone.

    Tokens are added with each response, invocations when they end.
    """

    __tablename__ = "agent_usage"
    __table_args__ = (Index("ix_agent_usage_tenant", "tenant_id", "day"),)

    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[dt.date] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    tokens_in: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens_out: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cost: Mapped[Decimal] = mapped_column(server_default="0")
    invocations: Mapped[int] = mapped_column(server_default="0")


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
