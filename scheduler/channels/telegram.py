"""Telegram: messages to a bot (core.telegram.org/bots/api#setwebhook)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints, ValidationError

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

TOKEN_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  # a header's name
WRITTEN = ("message", "channel_post", "business_message")
"""The kinds of update with new messages; the others report edits, buttons, polls and members."""
MAX_ID = 2**63

Number = Annotated[int, Field(gt=-MAX_ID, lt=MAX_ID)]


class _Chat(EventShape):
    id: Number
    title: str | None = None


class _Person(EventShape):
    id: Number
    is_bot: bool = False
    first_name: str = ""
    last_name: str = ""


class _Message(EventShape):
    message_id: Number
    chat: _Chat
    sender: _Person | None = Field(None, alias="from")
    sender_chat: _Chat | None = None
    sender_business_bot: _Person | None = None
    """The bot that wrote for a business account, such as the agent itself."""
    message_thread_id: Number | None = None
    is_topic_message: bool = False
    text: str = ""
    caption: str = ""


class TelegramChannel(ChannelSecrets):
    """A bot whose webhook was set with a secret token."""

    kind: ClassVar = "telegram"

    # The characters that setWebhook accepts in `secret_token`.
    secret_token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,256}$")]

    def verify(self, request: SignedRequest, now: datetime) -> Json:  # nothing tells its age
        """Verifies the secret token in Telegram's header."""
        with as_bad_signature():
            if not any_equal([header(request, TOKEN_HEADER)], [self.secret_token]):
                raise Rejected(f"{TOKEN_HEADER} is not the channel's secret token")
        return parse_object(request.body)

    def handshake(self, event: Json) -> Json | None:
        """Returns nothing: Telegram has no handshake."""
        return None

    def parse(self, event: Json) -> Parsed:
        """Returns the new message in an update."""
        written = next((event[kind] for kind in WRITTEN if kind in event), None)
        if written is None:
            return Parsed(ignored="it is not a new message")
        try:
            found = _Message.model_validate(written)
        except ValidationError:
            return Parsed(ignored="it is a message of an unknown shape")
        return _parsed(found)


def _parsed(found: _Message) -> Parsed:
    writer = found.sender_chat or found.sender  # a channel or a group may write as itself
    if writer is None:
        return Parsed(ignored="it does not name its sender")
    topic = f":{found.message_thread_id}" if found.is_topic_message and found.message_thread_id else ""
    name = writer.title if isinstance(writer, _Chat) else f"{writer.first_name} {writer.last_name}".strip()
    message = IncomingMessage(
        message_id=f"{found.chat.id}:{found.message_id}",
        user_id=str(writer.id),
        conversation_id=f"{found.chat.id}{topic}",
        text=found.text or found.caption,
        user_name=name or None,
        is_bot=found.sender_business_bot is not None or (isinstance(writer, _Person) and writer.is_bot),
    )
    return Parsed((message,))
