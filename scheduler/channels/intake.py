"""Takes in a provider's events for a channel: verifies, parses and stores them. The agent runs later."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection

from scheduler.channels.base import IncomingMessage, Json, Parsed, UnreadableEvent
from scheduler.channels.registry import open_channel
from scheduler.domain.errors import BadSignature
from scheduler.domain.signatures import SignedRequest
from scheduler.domain.text import storable
from scheduler.intake.messages.intake import (
    MAX_TEXT,
    EventReused,
    NewMessage,
    ReceivedMessage,
    fire_matching,
    receive_message,
)
from scheduler.storage.channels import OpenChannel, find_open_channel, note_event, user_of_account
from scheduler.storage.engine import Database
from scheduler.storage.secrets import SecretBox

CUT = "…"
"""Marks the end of a text that was too long."""


def receive_event(db: Database, box: SecretBox, channel_id: UUID, request: SignedRequest) -> Json:
    """Takes in one event and returns the JSON response once its message is committed.

    A repeated event gets the same response and changes nothing. Raises NotFound (unknown or disabled channel),
    BadSignature, UnreadableEvent, DatabaseUnavailable.
    """
    with db.begin() as conn:
        channel = find_open_channel(conn, channel_id)
    kind = open_channel(channel.kind, json.loads(box.decrypt(channel.secrets)))
    try:
        event = kind.verify(request, channel.now)
    except (BadSignature, UnreadableEvent) as error:
        with db.begin() as conn:
            note_event(conn, channel_id, f"refused: {error.message}")
        raise
    answer = kind.handshake(event)
    if answer is not None:
        return answer
    parsed = kind.parse(event)
    with db.begin() as conn:
        stored = _record(conn, channel, parsed)
    for each in stored:
        fire_matching(db, each)
    return parsed.answer


def _record(conn: Connection, channel: OpenChannel, parsed: Parsed) -> list[ReceivedMessage]:
    stored: list[ReceivedMessage] = []
    note = parsed.ignored
    for message in parsed.messages:
        unwanted = _why_unwanted(message, channel.bot_user_id)
        if unwanted is None:
            stored.append(_store(conn, channel, message))
        note = unwanted or note
    if note is not None:
        note_event(conn, channel.id, f"ignored: {note}")
    return stored


def _why_unwanted(message: IncomingMessage, bot_user_id: str | None) -> str | None:
    if message.is_bot or message.user_id == bot_user_id:
        return "a bot wrote it"
    return None if message.text.strip() else "it has no text"


def _store(conn: Connection, channel: OpenChannel, message: IncomingMessage) -> ReceivedMessage:
    """Stores a message. Two channels of one tenant may receive the same message, each for its own agent.

    A repeated id with another text is another message and is kept too.
    """
    name, _ = storable(message.user_name or "")
    text = message.text if len(message.text) <= MAX_TEXT else message.text[: MAX_TEXT - len(CUT)] + CUT
    user_id = user_of_account(conn, channel.tenant_id, channel.kind, message.user_id, name)
    new = NewMessage(
        tenant_id=channel.tenant_id,
        to_agent_id=channel.agent_id,
        channel=channel.kind,
        text=text,
        from_user_id=user_id,
        thread=message.conversation_id,
        event_id=f"{channel.id}:{message.message_id}",
    )
    try:
        return receive_message(conn, new)
    except EventReused:  # no provider can be told to send it differently
        return receive_message(conn, replace(new, event_id=f"{new.event_id}:{_digest(text)}"))


def _digest(text: str) -> str:
    return sha256(storable(text)[0].encode()).hexdigest()[:16]
