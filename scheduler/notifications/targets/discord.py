"""`discord`: a webhook of a Discord channel."""

from __future__ import annotations

import json
from datetime import datetime

from scheduler.notifications.targets.base import JSON, Call, Outgoing, PlainTarget, cut

MAX_CONTENT = 2000
"""The characters that Discord accepts."""


class DiscordWebhook(PlainTarget):
    """Sends `{content}` with mentions disabled."""

    def call(self, note: Outgoing, now: datetime) -> Call:
        """Returns the message request."""
        body = {"content": cut(note.content, MAX_CONTENT), "allowed_mentions": {"parse": []}}
        return Call(json.dumps(body).encode(), JSON)
