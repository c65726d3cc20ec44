"""Kinds of notification targets: their interface, and ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from scheduler.domain.errors import InvalidField
from scheduler.domain.signatures import sign_standard_webhooks
from scheduler.domain.signatures.standard_webhooks import StandardWebhooks
from scheduler.net.client import Answer

JSON = {"Content-Type": "application/json"}
MAX_TEXT = 4000
"""The characters that Slack recommends and that Feishu accepts."""
MAX_DISCORD_TEXT = 2000
"""The characters that Discord accepts."""
FEISHU_TOO_OFTEN = 11232
"""The code of Feishu's rate limit; every other code is permanent."""
_FEISHU_MENTION = re.compile("<(?=/?at\\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An outgoing notification. `id` is the same in every attempt, so that the receiver can detect repeats."""

    id: UUID
    invocation_id: UUID | None
    """None for a test and for an alert."""
    agent_id: UUID
    agent_name: str
    content: str
    triggers: tuple[str, ...]
    created_at: datetime
    alert_id: UUID | None = None
    event: str | None = None
    """What became of the alert: `opened`, `open` or `closed`."""


@dataclass(frozen=True, slots=True)
class Call:
    """The POST request to send."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NotSent:
    """The notification was not delivered. `permanent`: retrying cannot help. `retry_after`: the seconds requested."""

    error: str
    permanent: bool = False
    retry_after: float | None = None
    was_put_off: bool = False
    """Whether the receiver said when to come back (429 or 503 with Retry-After)."""


class Target(Protocol):
    """A kind of target with its secret."""

    def call(self, note: Outgoing, now: datetime) -> Call:
        """Returns the request to its URL."""
        ...

    def refusal(self, answer: Answer) -> NotSent | None:
        """Returns the error in a 2xx response; None on success."""
        ...


Factory = Callable[[str | None], Target]
"""Creates a target from its secret, if it has one. Raises InvalidField on `secret`."""


class PlainTarget:
    """A target whose URL is its only secret, and for which 2xx means success."""

    def __init__(self, secret: str | None) -> None:
        if secret is not None:
            raise InvalidField("A target of this kind has no secret besides its URL.", field="secret")

    def refusal(self, answer: Answer) -> NotSent | None:
        """Returns None: 2xx means success."""
        return None


def cut(text: str, length: int) -> str:
    """Cuts `text` to the length that the receiver accepts."""
    return text if len(text) <= length else text[: length - 1] + "…"


class SlackWebhook(PlainTarget):
    """An incoming webhook of Slack or a compatible service.

    Sends `{text}`. Slack's three special characters are escaped, so that nothing notifies a whole channel.
    """

    def call(self, note: Outgoing, now: datetime) -> Call:
        """Returns the message request."""
        text = cut(note.content, MAX_TEXT).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return Call(json.dumps({"text": text}).encode(), JSON)


class DiscordWebhook(PlainTarget):
    """A webhook of a Discord channel: sends `{content}` with mentions disabled."""

    def call(self, note: Outgoing, now: datetime) -> Call:
        """Returns the message request."""
        body = {"content": cut(note.content, MAX_DISCORD_TEXT), "allowed_mentions": {"parse": []}}
        return Call(json.dumps(body).encode(), JSON)


class FeishuBot:
    """A custom bot of a Feishu or Lark group, with or without a signature.

    Sends `{msg_type: text}`; a secret adds `timestamp` and `sign`. Refusals have status 200 and a code.
    """

    def __init__(self, secret: str | None) -> None:
        self._secret = secret

    def call(self, note: Outgoing, now: datetime) -> Call:
        """Returns the message request, with `<at>` mentions disabled."""
        text = _FEISHU_MENTION.sub("<\u200b", cut(note.content, MAX_TEXT))
        message: dict[str, object] = {"msg_type": "text", "content": {"text": text}}
        if self._secret is not None:
            timestamp = str(int(now.timestamp()))
            message |= {"timestamp": timestamp, "sign": _feishu_signature(self._secret, timestamp)}
        return Call(json.dumps(message).encode(), JSON)

    def refusal(self, answer: Answer) -> NotSent | None:
        """Returns its code unless that is 0."""
        try:
            told = json.loads(answer.body)
            code, why = told.get("code", 0), str(told.get("msg", ""))[:200]
        except (ValueError, RecursionError, AttributeError):
            return NotSent("The response is not Feishu's: it is not a JSON object.", permanent=True)
        if code == 0:
            return None
        return NotSent(f"Feishu refused it with code {str(code)[:20]}: {why}", permanent=code != FEISHU_TOO_OFTEN)


def _feishu_signature(secret: str, timestamp: str) -> str:
    """Computes Feishu's signature: the HMAC-SHA256 of nothing, keyed by TIMESTAMP, a line feed and the secret."""
    digest = hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class SignedWebhook:
    """A POST signed according to Standard Webhooks (standardwebhooks.com).

    Sends `{type, timestamp, data}`, the body that the standard recommends; `webhook-id` is the notification's id.
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
