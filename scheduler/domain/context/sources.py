"""Words the reason of a firing by its source, and finds the part that is the agent's task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.domain.context.translations import WORDS, Language
from scheduler.domain.model import TriggerKind, Trust

AS_SENT = "as_sent"
"""The member of a firing's data that holds, by member, original JSON that is stored in another form."""


def reason_of(trigger_type: str, reason: str, data: Mapping[str, Any] | None, language: Language) -> str:
    """Returns the reason of a firing.

    A call's reason is made here, as it depends on the caller; others are the trigger's.
    """
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
    """Whether a message is the agent's task: from a person whom the tenant admitted, or delegated by an agent.

    Anything else in a firing is data, even when signed: a signature vouches for the sender of a webhook, not for
    the people whose words it passes on.
    """
    return trust == Trust.VERIFIED or bool(message.get("delegation_id"))


def is_asked(firings: Sequence[tuple[str, Mapping[str, Any] | None]]) -> bool:
    """Whether a person waits for the reply: one of the `(trust, data)` contains their question."""
    return any(trust == Trust.VERIFIED and messages_of(data) for trust, data in firings)


def is_delegated(firings: Sequence[tuple[str, Mapping[str, Any] | None]]) -> bool:
    """Whether an agent waits for an answer, which the tool `reply` gives."""
    return any(message.get("delegation_id") for _, data in firings for message in messages_of(data))


def messages_of(data: Mapping[str, Any] | None) -> list[Mapping[Any, Any]]:
    """Returns the messages in a firing's data, oldest first."""
    messages = (data or {}).get("messages")
    if not isinstance(messages, list):
        return []
    return [each if isinstance(each, Mapping) else {"text": each} for each in messages]


def sent_of(data: Mapping[str, Any]) -> dict[str, str]:
    """Returns the original JSON of those members of a firing's data for which it is stored."""
    sent = data.get(AS_SENT)
    if not isinstance(sent, Mapping):
        return {}
    return {name: text for name, text in sent.items() if isinstance(text, str)}


def sender_of(message: Mapping[Any, Any]) -> str:
    """Returns the name of a message's sender."""
    sender = message.get("from")
    if isinstance(sender, Mapping):
        sender = sender.get("name") or sender.get("id")
    return str(sender or "?")


def is_named_by_tenant(message: Mapping[Any, Any]) -> bool:
    """Whether the tenant chose the sender's name (agents and callers). Chat users choose their own."""
    sender = message.get("from")
    return is_from_agent(message) or (isinstance(sender, Mapping) and sender.get("type") == "caller")


def is_from_agent(message: Mapping[Any, Any]) -> bool:
    """Whether an agent wrote it."""
    sender = message.get("from")
    return isinstance(sender, Mapping) and sender.get("type") == "agent"
