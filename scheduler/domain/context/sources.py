"""Words the reason of a firing by its source, and finds which part of it is the agent's task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.domain.context.translations import WORDS, Language
from scheduler.domain.model import TriggerKind, Trust

AS_SENT = "as_sent"
"""The member of a firing's data with the JSON, by member, of what came in another form than it is kept in."""


def reason_of(trigger_type: str, reason: str, data: Mapping[str, Any] | None, language: Language) -> str:
    """The reason of a firing. That of a call is made here, for it depends on who calls; others are their triggers'."""
    words = WORDS[language]
    if trigger_type != TriggerKind.WAKE:
        return words.heartbeat if reason == WORDS["en"].heartbeat else reason
    for message in messages_of(data):
        if message.get("delegation_id"):
            return words.delegated.format(name=sender_of(message))
        if is_from_agent(message):
            return words.told_by_agent.format(name=sender_of(message))
    return words.called


def is_task(trust: str, message: Mapping[Any, Any]) -> bool:
    """Whether a message is what the agent is to do: from a person whom the tenant let in, or handed over by an agent.

    Anything else that comes with a firing is data, whoever signed it: a signature vouches for the sender of a
    webhook, not for those whose words it passes on.
    """
    return trust == Trust.VERIFIED or bool(message.get("delegation_id"))


def is_asked(firings: Sequence[tuple[str, Mapping[str, Any] | None]]) -> bool:
    """Whether a person waits for the reply: one of the `(trust, data)` brings what they ask."""
    return any(trust == Trust.VERIFIED and messages_of(data) for trust, data in firings)


def is_delegated(firings: Sequence[tuple[str, Mapping[str, Any] | None]]) -> bool:
    """Whether an agent waits for an answer, which the tool `reply` gives."""
    return any(message.get("delegation_id") for _, data in firings for message in messages_of(data))


def messages_of(data: Mapping[str, Any] | None) -> list[Mapping[Any, Any]]:
    """The messages of a firing's data, oldest first."""
    messages = (data or {}).get("messages")
    if not isinstance(messages, list):
        return []
    return [each if isinstance(each, Mapping) else {"text": each} for each in messages]


def sent_of(data: Mapping[str, Any]) -> dict[str, str]:
    """The JSON that members of a firing's data came as, of those of which it is kept."""
    sent = data.get(AS_SENT)
    if not isinstance(sent, Mapping):
        return {}
    return {name: text for name, text in sent.items() if isinstance(text, str)}


def sender_of(message: Mapping[Any, Any]) -> str:
    """The name of a message's sender."""
    sender = message.get("from")
    if isinstance(sender, Mapping):
        sender = sender.get("name") or sender.get("id")
    return str(sender or "?")


def is_named_by_tenant(message: Mapping[Any, Any]) -> bool:
    """Whether the tenant chose the sender's name: that of an agent or a caller. People in chats choose their own."""
    sender = message.get("from")
    return is_from_agent(message) or (isinstance(sender, Mapping) and sender.get("type") == "caller")


def is_from_agent(message: Mapping[Any, Any]) -> bool:
    """Whether an agent wrote it."""
    sender = message.get("from")
    return isinstance(sender, Mapping) and sender.get("type") == "agent"
