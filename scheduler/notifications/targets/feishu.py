"""`feishu`: a custom bot of a Feishu or Lark group, with or without a signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import datetime

from scheduler.net.client import Answer
from scheduler.notifications.targets.base import JSON, Call, NotSent, Outgoing, cut

MAX_TEXT = 4000
TOO_OFTEN = 11232
"""The code of its rate limit; every other code is permanent."""
_MENTION = re.compile("<(?=/?at\\b)", re.IGNORECASE)


class FeishuBot:
    """Sends `{msg_type: text}`; a secret adds `timestamp` and `sign`. Refusals have status 200 and a code."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret

    def call(self, note: Outgoing, now: datetime) -> Call:
        """Returns the message request, with `<at>` mentions disabled."""
        text = _MENTION.sub("<\u200b", cut(note.content, MAX_TEXT))
        message: dict[str, object] = {"msg_type": "text", "content": {"text": text}}
        if self._secret is not None:
            timestamp = str(int(now.timestamp()))
            message |= {"timestamp": timestamp, "sign": _sign(self._secret, timestamp)}
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
        return NotSent(f"Feishu refused it with code {str(code)[:20]}: {why}", permanent=code != TOO_OFTEN)


def _sign(secret: str, timestamp: str) -> str:
    """Computes Feishu's signature: the HMAC-SHA256 of nothing, keyed by TIMESTAMP, a line feed and the secret."""
    digest = hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
