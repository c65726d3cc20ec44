"""webhook: a call of `POST /hooks/{token}`; every delivery is a firing of its own."""

from __future__ import annotations

from typing import ClassVar

from scheduler.domain.model import TriggerType
from scheduler.domain.signatures import SignatureConfig
from scheduler.triggers.base import TriggerConfig


class WebhookConfig(TriggerConfig):
    """`{"signature": {"scheme": "github", "secret": "…"}}`, or `{}` for unsigned deliveries."""

    kind: ClassVar = TriggerType.WEBHOOK
    secrets: ClassVar = ("signature.secret",)

    signature: SignatureConfig | None = None
