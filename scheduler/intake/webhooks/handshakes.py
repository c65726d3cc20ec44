"""Answers verification requests for a webhook's address, which are not recorded as deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from scheduler.storage.tables.core import Agent, Trigger
from scheduler.storage.tables.tenants import Tenant
from scheduler.triggers.webhook import MOST_BODY, USUAL_BODY


@dataclass(frozen=True, slots=True)
class HookSummary:
    """A webhook."""

    config: dict[str, Any]
    """Without its secrets."""
    body_limit: int
    is_open: bool
    """Whether it accepts deliveries now."""

    @property
    def challenge(self) -> str | None:
        """Returns the provider whose handshake is answered."""
        return self.config.get("challenge")


def peek(conn: Connection, token_hash: bytes) -> HookSummary | None:
    """Returns the webhook with this token, not locked; None when there is none."""
    is_open = and_(
        Trigger.is_enabled,
        or_(Trigger.expires_at.is_(None), Trigger.expires_at > func.clock_timestamp()),
        or_(Trigger.max_fires.is_(None), Trigger.fire_count < Trigger.max_fires),
    )
    row = conn.execute(
        select(Trigger.config, Tenant.max_webhook_body_bytes, is_open.label("is_open"))
        .join(Agent, Agent.id == Trigger.agent_id)
        .join(Tenant, Tenant.id == Trigger.tenant_id)
        .where(
            Trigger.token_hash == token_hash,
            Trigger.deleted_at.is_(None),
            Agent.deleted_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    wanted = row.config.get("max_body_bytes") or USUAL_BODY
    return HookSummary(row.config, min(wanted, row.max_webhook_body_bytes, MOST_BODY), row.is_open)
