"""Responses to senders of webhooks."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from api.schemas.base import Answer
from scheduler.domain.shapes import Shape


class HookPath(Shape):
    """Identifies a webhook by its token."""

    token: str = Field(description="The last segment of a hook_url.")


class ReceiptOut(Answer):
    """The outcome of a delivery."""

    firing_id: UUID | None = Field(description="Its firing; for a duplicate the first one's, null when filtered.")
    duplicate: bool = Field(description="It was received before, and fired then.")
    filtered: bool = Field(False, description="The trigger's filter excluded it; only present when true.")


class HookOut(Answer):
    """A webhook that accepts deliveries."""

    ok: bool
