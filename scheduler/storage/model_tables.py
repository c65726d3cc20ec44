"""Tables of the models that `llm` agents use, and of what they spend."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.base import NOW, Base


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
