"""Creates the firings for messages: one per message and trigger, within the limits on agents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.lineage import too_deep, too_often
from scheduler.domain.model import MAX_DEPTH, Trust
from scheduler.firings.new_firing import NewFiring
from scheduler.firings.trigger_locks import LockedTrigger
from scheduler.intake.messages.statements import StoredMessage, refuse_for
from scheduler.intake.wakes.limits import PairLimit, chain_of, name_of
from scheduler.intake.wakes.statements import Pair
from scheduler.storage.audit import Event, record_events

KEPT_TEXT = 2_000
"""The characters of a message in its firing; the whole message is found by its id."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that one of the locked triggers listens for, including its text."""

    trigger: LockedTrigger
    message: StoredMessage

    @property
    def pair(self) -> Pair | None:
        """Which agent would wake which; None when a user wrote."""
        sender = self.message.from_agent_id
        return None if sender is None else Pair(sender, self.trigger.agent_id)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The firings to record, and the reason for each refused one."""

    firings: list[NewFiring]
    notes: list[str]


def admit(conn: Connection, heard: Sequence[Heard]) -> Admitted:
    """Returns the firings to record for `heard`, in order. All of its triggers have passed their gates.

    Observes `max_fires`. A message too deep in a chain of agents, or too frequent from one agent, is refused for
    good: it stays stored, and the trigger's audit trail says why it did not fire, naming the loop.
    """
    if not heard:
        return Admitted([], [])
    limit = PairLimit(conn, {each.pair for each in heard if each.pair}, heard[0].trigger.read_at)
    firings: list[NewFiring] = []
    refused: list[tuple[Heard, str]] = []
    fires = Counter[UUID]()
    for each in heard:
        trigger = each.trigger
        if trigger.max_fires is not None and trigger.fire_count + fires[trigger.id] >= trigger.max_fires:
            continue
        firing = firing_of(each)
        why = _refusal(each, firing, limit)
        if why is None:
            firings.append(firing)
            fires[trigger.id] += 1
        else:
            refused.append((each, why))
    limit.write()
    return Admitted(firings, _note(conn, refused))


def firing_of(heard: Heard) -> NewFiring:
    """Returns the firing for one message, with the same occurrence key whoever finds it."""
    message = heard.message
    told = {
        "from": {"type": message.from_type, "id": str(message.from_id), "name": message.from_name},
        "text": message.text[:KEPT_TEXT],
        "length": len(message.text),
        "message_id": str(message.id),
        "session_id": str(message.session_id),
        "channel": message.channel,
    }
    return NewFiring(
        heard.trigger,
        f"message:{message.id}",
        data={"messages": [told]},
        trust=Trust.AGENT if message.from_agent_id else Trust.VERIFIED,
        root_id=message.root_id,
        depth=message.depth,
    )


def _refusal(heard: Heard, firing: NewFiring, limit: PairLimit) -> str | None:
    if heard.message.lineage.is_too_deep:
        return "depth"
    if heard.pair is not None and limit.admit(heard.pair, firing.id) is not None:
        return "pair"
    return None


def _note(conn: Connection, refused: Sequence[tuple[Heard, str]]) -> list[str]:
    notes: list[str] = []
    by_message: dict[UUID, list[UUID]] = defaultdict(list)
    events: list[Event] = []
    for heard, why in refused:
        trigger, message = heard.trigger, heard.message
        by_message[message.id].append(trigger.agent_id)
        notes.append(_told(conn, heard, why))
        detail = {
            "why": why,
            "note": notes[-1],
            "message_id": str(message.id),
            "from_agent_id": str(message.from_id),
            "root_id": str(message.root_id),
            "depth": message.depth,
        }
        events.append(Event("trigger.limit", trigger.tenant_id, trigger.id, trigger.agent_id, detail=detail))
    for message_id, agent_ids in by_message.items():
        refuse_for(conn, message_id, agent_ids)
    record_events(conn, events)
    return notes


def _told(conn: Connection, heard: Heard, why: str) -> str:
    message = heard.message
    names = [
        *chain_of(conn, message.from_id, message.root_id, MAX_DEPTH + 1),
        name_of(conn, heard.trigger.agent_id),
    ]
    if why == "depth":
        return too_deep(message.lineage, names).message
    return too_often(None, names).message
