"""Mattermost's outgoing webhooks: messages in a channel, or those that begin with a trigger word.

developers.mattermost.com/integrate/webhooks/outgoing
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from urllib.parse import parse_qsl

from pydantic import ValidationError

from scheduler.channels.base import (
    ChannelSecrets,
    EventShape,
    Id,
    IncomingMessage,
    Json,
    Parsed,
    Secret,
    UnreadableEvent,
    as_bad_signature,
    parse_object,
)
from scheduler.domain.signatures import SignedRequest
from scheduler.domain.signatures.model import Rejected, any_equal

MAX_FIELDS = 100


class _Post(EventShape):
    post_id: Id
    channel_id: Id
    user_id: Id
    user_name: str | None = None
    text: str = ""


class MattermostChannel(ChannelSecrets):
    """An outgoing webhook, which sends its token in each event."""

    kind: ClassVar = "mattermost"

    token: Secret

    def verify(self, request: SignedRequest, now: datetime) -> Json:  # nothing signed tells its age
        """Verifies the webhook's token in the body, which is JSON or a form depending on the webhook's content
        type.
        """
        event = _form(request.body) if _is_form(request) else parse_object(request.body)
        token = event.get("token")
        with as_bad_signature():
            if not (isinstance(token, str) and any_equal([token], [self.token])):
                raise Rejected("its token is not the channel's")
        return event

    def handshake(self, event: Json) -> Json | None:
        """Returns nothing: Mattermost has no handshake."""
        return None

    def parse(self, event: Json) -> Parsed:
        """Returns a post. Mattermost sends no posts of bots and webhooks."""
        try:
            found = _Post.model_validate(event)
        except ValidationError:
            return Parsed(ignored="it is a post of an unknown shape")
        message = IncomingMessage(
            message_id=found.post_id,
            user_id=found.user_id,
            conversation_id=found.channel_id,
            text=found.text,
            user_name=found.user_name,
        )
        return Parsed((message,))


def _is_form(request: SignedRequest) -> bool:
    kinds = [value for name, value in request.headers.items() if name.lower() == "content-type"]
    return any(kind.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded" for kind in kinds)


def _form(body: bytes) -> Json:
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise UnreadableEvent("The body is not a form in UTF-8.") from None
