"""Microsoft Teams' outgoing webhooks: messages that mention the webhook's name in a team.

learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from datetime import datetime
from hashlib import sha256
from hmac import digest
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from scheduler.channels.base import (
    ChannelSecrets,
    EventShape,
    IncomingMessage,
    Json,
    Parsed,
    as_bad_signature,
    parse_object,
)
from scheduler.domain.signatures import SignedRequest
from scheduler.domain.signatures.model import Rejected, any_equal, header

RECEIVED = {"type": "message", "text": "Received."}
"""Teams shows an error unless it gets a message in response within five seconds."""
MENTION = re.compile(r"<at(?:\s[^<>]*)?>([^<>]*)</at>\s*")
BREAK = re.compile(r"<(?:br\s*/?|/p|/div)>", re.IGNORECASE)
EMOJI = re.compile(r'<(?:img|emoji)\b[^<>]*?\balt="([^"<>]*)"[^<>]*>', re.IGNORECASE)
BOT = "28:"
"""How the ids of bots begin; those of people begin with 29:."""
TAG = re.compile(r"</?[A-Za-z][^<>]*>")

TeamsId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")]


def _base64(secret: str) -> str:
    try:
        base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be the base64 text that Teams shows when the webhook is created") from None
    return secret


class _Account(EventShape):
    id: TeamsId
    name: str | None = None
    role: str | None = None


class _Conversation(EventShape):
    id: TeamsId


class _Activity(EventShape):
    type: Literal["message"]
    id: TeamsId
    sender: _Account = Field(alias="from")
    conversation: _Conversation
    text: str = ""


class TeamsChannel(ChannelSecrets):
    """An outgoing webhook of a team."""

    kind: ClassVar = "teams"

    security_token: Annotated[
        str,
        StringConstraints(min_length=8, max_length=200, pattern=r"^[A-Za-z0-9+/]+=*$"),
        AfterValidator(_base64),
    ]

    def verify(self, request: SignedRequest, now: datetime) -> Json:  # its timestamp is not checked
        """Verifies HMAC-SHA256 of the body with the decoded security token, in base64 after `HMAC`."""
        with as_bad_signature():
            scheme, _, given = header(request, "Authorization").partition(" ")
            made = base64.b64encode(digest(base64.b64decode(self.security_token), request.body, sha256)).decode()
            if scheme.upper() != "HMAC" or not any_equal([given.strip()], [made]):
                raise Rejected("Authorization has no HMAC of the body made with the channel's security token")
        return parse_object(request.body)

    def handshake(self, event: Json) -> Json | None:
        """Returns nothing: Teams has no handshake."""
        return None

    def parse(self, event: Json) -> Parsed:
        """Returns a `message` activity."""
        if event.get("type") != "message":
            return Parsed(ignored="it is not a message", answer=RECEIVED)
        try:
            found = _Activity.model_validate(event)
        except ValidationError:
            return Parsed(ignored="it is a message of an unknown shape", answer=RECEIVED)
        message = IncomingMessage(
            message_id=f"{found.conversation.id}:{found.id}"[:400],
            user_id=found.sender.id,
            conversation_id=found.conversation.id,
            text=plain_text(found.text),
            user_name=found.sender.name,
            is_bot=found.sender.id.startswith(BOT) or found.sender.role == "bot",
        )
        return Parsed((message,), answer=RECEIVED)


def plain_text(text: str) -> str:
    """Converts Teams' HTML to what people see, without the webhook's mention that starts every message."""
    shown = MENTION.sub("", text, count=1)
    shown = MENTION.sub(lambda found: f"@{found[1]} ", shown)
    shown = EMOJI.sub(lambda found: found[1], shown)
    shown = TAG.sub("", BREAK.sub("\n", shown))
    return html.unescape(shown).replace("\xa0", " ").strip()
