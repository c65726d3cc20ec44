"""Tables of the web UI: users with passwords and their sessions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.base import NOW, Base


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
