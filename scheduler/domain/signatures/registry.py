"""The presets by name. A new provider is one line here, or one file and one line."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from scheduler.domain.signatures.body_hmac import BodyHmac, SharedToken
from scheduler.domain.signatures.model import Scheme
from scheduler.domain.signatures.standard_webhooks import StandardWebhooks, StandardWebhooksEd25519
from scheduler.domain.signatures.timestamped import Slack, Stripe
from scheduler.domain.signatures.twilio import Twilio

SchemeName = Literal[
    "standard-webhooks",
    "standard-webhooks-ed25519",
    "github",
    "gitlab-token",
    "stripe",
    "slack",
    "shopify",
    "twilio",
    "generic-hmac",
]

GENERIC: SchemeName = "generic-hmac"

PRESETS: Mapping[SchemeName, Scheme] = MappingProxyType(
    {
        "standard-webhooks": StandardWebhooks(),
        "standard-webhooks-ed25519": StandardWebhooksEd25519(),
        "github": BodyHmac("X-Hub-Signature-256", prefix="sha256="),
        "gitlab-token": SharedToken("X-Gitlab-Token"),
        "stripe": Stripe(),
        "slack": Slack(),
        "shopify": BodyHmac("X-Shopify-Hmac-Sha256", encoding="base64"),
        "twilio": Twilio(),
        # The fallback's header and forms come from the trigger's config.
        GENERIC: BodyHmac("", encoding=None, prefix=None, listed=True),
    }
)
