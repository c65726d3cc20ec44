"""Slack's Events API: messages where the app was invited (docs.slack.dev/apis/events-api)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar, Literal
from urllib.parse import unquote

from pydantic import ValidationError

from scheduler.channels.base import (
    ChannelSecrets,
    EventShape,
    Id,
    IncomingMessage,
    Json,
    Parsed,
    Secret,
    as_bad_signature,
    parse_object,
    window,
)
from scheduler.domain.signatures import SignedRequest
from scheduler.domain.signatures.timestamped import Slack

SLACKBOT = "USLACKBOT"
WRITTEN = (None, "bot_message", "file_share", "me_message", "thread_broadcast")
"""The subtypes of new messages; the others report edits, removals, joins and the like."""
LINK_SCHEME = re.compile(r"^(?:https?://|mailto:|tel:)", re.IGNORECASE)
MARKUP = re.compile(r"<([^<>]*)>")


class _Event(EventShape):
    type: Literal["message", "app_mention"]
    channel: Id
    ts: Id
    subtype: str | None = None
    user: Id | None = None
    bot_id: Id | None = None
    username: str | None = None
    thread_ts: Id | None = None
    text: str = ""


class SlackChannel(ChannelSecrets):
    """A Slack app. A mention in a channel that the app also reads comes as two events for one message."""

    kind: ClassVar = "slack"

    signing_secret: Secret

    def verify(self, request: SignedRequest, now: datetime) -> Json:
        """Verifies HMAC-SHA256 with the signing secret
        (docs.slack.dev/authentication/verifying-requests-from-slack).
        """
        scheme = Slack()
        with as_bad_signature():
            scheme.check(request, [scheme.key(self.signing_secret)], window(now))
        return parse_object(request.body)

    def handshake(self, event: Json) -> Json | None:
        """Answers `url_verification` with the challenge."""
        is_asked = event.get("type") == "url_verification"
        return {"challenge": event.get("challenge")} if is_asked else None

    def parse(self, event: Json) -> Parsed:
        """Returns the message in an `event_callback`."""
        inner = event.get("event")
        if event.get("type") != "event_callback" or not isinstance(inner, dict):
            return Parsed(ignored="it is not an event_callback")
        if inner.get("type") not in ("message", "app_mention"):
            return Parsed(ignored="it is not a message")
        if inner.get("subtype") not in WRITTEN:
            return Parsed(ignored="it reports a change, not a new message")
        try:
            found = _Event.model_validate(inner)
        except ValidationError:
            return Parsed(ignored="it is a message of an unknown shape")
        return _parsed(found)


def _parsed(event: _Event) -> Parsed:
    writer = event.user or event.bot_id
    if writer is None:
        return Parsed(ignored="it does not name its sender")
    message = IncomingMessage(
        # Not the event's id, as a mention is two events. A message's `ts` is its id within the channel.
        message_id=f"{event.channel}:{event.ts}",
        user_id=writer,
        conversation_id=f"{event.channel}:{event.thread_ts}" if event.thread_ts else event.channel,
        text=plain_text(event.text),
        user_name=event.username,
        is_bot=event.bot_id is not None or event.subtype == "bot_message" or writer == SLACKBOT,
    )
    return Parsed((message,))


def plain_text(text: str) -> str:
    """Converts Slack's markup to what people see: `<@U1>` to @U1, `<https://a.example|docs>` to docs
    (https://a.example). Links that Slack made automatically, `<http://a.example|a.example>`, become the text as
    typed.
    """
    shown = MARKUP.sub(_shown, text)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")  # nothing else is escaped


def _shown(match: re.Match[str]) -> str:
    target, _, label = match[1].partition("|")
    if target[:1] in ("@", "#"):
        return target[0] + (label or target[1:])
    if target[:1] == "!":
        is_date = target.startswith("!date^")
        return label if is_date and label else "@" + (label.removeprefix("@") or target[1:])
    if not label:
        return target.removeprefix("mailto:").removeprefix("tel:")
    if _linked_by_slack(target, label):
        return label
    return f"{label} ({target})"


def _linked_by_slack(target: str, label: str) -> bool:
    """Whether the label is the address itself, with or without its scheme."""
    typed, address = (_bare(LINK_SCHEME.sub("", text)) for text in (label, target))
    return typed == address


def _bare(address: str) -> str:
    return unquote(address).removesuffix("/").casefold()
