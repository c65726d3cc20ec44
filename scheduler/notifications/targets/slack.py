"""`slack`: an incoming webhook of Slack or a compatible service."""

from __future__ import annotations

import json
from datetime import datetime

from scheduler.notifications.targets.base import JSON, Call, Outgoing, PlainTarget, cut

MAX_TEXT = 4000
"""The message length that Slack recommends."""


class SlackWebhook(PlainTarget):
    """Sends `{text}`. Slack's three special characters are escaped, so that nothing notifies a whole channel."""

    def call(self, note: Outgoing, now: datetime) -> Call:
        """Returns the message request."""
        text = cut(note.content, MAX_TEXT).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return Call(json.dumps({"text": text}).encode(), JSON)
