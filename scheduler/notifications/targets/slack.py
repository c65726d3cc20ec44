"""`slack`: an incoming webhook of Slack, or of what speaks like it."""

from __future__ import annotations

import json
from datetime import datetime

from scheduler.notifications.targets.base import JSON, Call, Outgoing, Plain, cut

MAX_TEXT = 4000
"""Slack's advice for a message."""


class SlackWebhook(Plain):
    """`{text}`. The three characters that Slack gives a meaning are escaped, so nothing calls a whole channel."""

    def call(self, note: Outgoing, now: datetime) -> Call:
        """The message."""
        text = cut(note.content, MAX_TEXT).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return Call(json.dumps({"text": text}).encode(), JSON)
