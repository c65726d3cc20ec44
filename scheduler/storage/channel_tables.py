"""The table of channels: where people of a chat provider reach an agent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.base import NOW, Base


class Channel(Base):
    """A provider's app that posts here, and the agent that its people talk to."""

    __tablename__ = "channels"
    __table_args__ = (
        Index("uq_channels_tenant_name", "tenant_id", "name", unique=True),
        Index("ix_channels_tenant", "tenant_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    name: Mapped[str]
    secrets: Mapped[bytes]
    """Encrypted: what the kind asks for, as JSON."""
    bot_user_id: Mapped[str | None]
    """The provider's id of the app's own user, where events do not tell that a bot wrote."""
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    note: Mapped[str | None]
    """Why an event lately made no message: for whoever sets the channel up."""
    noted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
