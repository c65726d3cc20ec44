"""`discord`: a webhook of a Discord channel."""

from __future__ import annotations

import json
from datetime import datetime

from scheduler.notifications.targets.base import JSON, Call, Outgoing, Plain, cut

MAX_CONTENT = 2000
"""Characters that Discord takes."""


class DiscordWebhook(Plain):
    """`{content}`, in which no mention mentions anybody."""

    def call(self, note: Outgoing, now: datetime) -> Call:
        """The message."""
        body = {"content": cut(note.content, MAX_CONTENT), "allowed_mentions": {"parse": []}}
        return Call(json.dumps(body).encode(), JSON)
