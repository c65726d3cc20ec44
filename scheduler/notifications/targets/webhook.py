"""`webhook`: a POST signed according to Standard Webhooks (standardwebhooks.com)."""

from __future__ import annotations

import json
from datetime import datetime

from scheduler.domain.errors import InvalidField
from scheduler.domain.signatures import sign_standard_webhooks
from scheduler.domain.signatures.standard_webhooks import StandardWebhooks
from scheduler.net.client import Answer
from scheduler.notifications.targets.base import JSON, Call, NotSent, Outgoing


class SignedWebhook:
    """Sends `{type, timestamp, data}`, the body that the standard recommends;

    `webhook-id` is the notification's id.
    """

    def __init__(self, secret: str | None) -> None:
        self._secret = secret or ""
        try:
            StandardWebhooks().key(self._secret)
            sign_standard_webhooks(self._secret, "check", 0, b"")
        except ValueError:
            raise InvalidField("secret must be whsec_ and base64 (Standard Webhooks).", field="secret") from None

    def call(self, note: Outgoing, now: datetime) -> Call:
        """Returns the signed request with the whole notification."""
        data: dict[str, object] = {
            "id": str(note.id),
            "content": note.content,
            "triggers": note.triggers,
            "agent": {"id": str(note.agent_id), "name": note.agent_name},
            "invocation_id": None if note.invocation_id is None else str(note.invocation_id),
        }
        if note.alert_id is not None:
            data |= {"alert": {"id": str(note.alert_id), "event": note.event}}
        kind = "trigger_notification" if note.alert_id is None else "alert"
        event = {"type": kind, "timestamp": note.created_at.isoformat(), "data": data}
        body = json.dumps(event, ensure_ascii=False).encode()
        signature = sign_standard_webhooks(self._secret, str(note.id), int(now.timestamp()), body)
        return Call(body, JSON | signature)

    def refusal(self, answer: Answer) -> NotSent | None:
        """Returns None: 2xx is all that the standard requires."""
        return None
