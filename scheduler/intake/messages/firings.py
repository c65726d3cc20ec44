"""Matches messages with the conditions of triggers, and makes their firings: one per message and trigger, within the
limits on agents.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.bounded_regex import TextMatch
from scheduler.domain.lineage import DEPTH, PAIR, too_deep, too_often
from scheduler.domain.model import MAX_DEPTH, Trust
from scheduler.firings.new_firing import LockedTrigger, NewFiring
from scheduler.intake.messages.statements import Listener, StoredMessage, find_unfired, read_messages, refuse_for
from scheduler.intake.processor_time import ProcessorTime, ShareSpent
from scheduler.intake.wakes.statements import Pair, PairLimit, chain_of, name_of
from scheduler.metrics import REFUSED_WAKES, add, later
from scheduler.storage.audit import Event, record_events

KEPT_TEXT = 2_000
"""The characters of a message in its firing; the whole message is found by its id."""
MAX_READ = 200
"""The most texts that one pass reads; the next check takes the rest."""
MATCH_SECONDS = 0.25
"""How long expressions may delay a pass."""
Look = tuple[Listener, StoredMessage]


@dataclass(frozen=True, slots=True)
class CandidateMessage:
    """A message that one of the locked triggers listens for, including its text."""

    trigger: LockedTrigger
    message: StoredMessage

    @property
    def pair(self) -> Pair | None:
        """Which agent would wake which; None when a user wrote."""
        sender = self.message.from_agent_id
        return None if sender is None else Pair(sender, self.trigger.agent_id)


@dataclass(frozen=True, slots=True)
class AdmittedFirings:
    """The firings to record, and the reason for each refused one."""

    firings: list[NewFiring]
    notes: list[str]


def admit(conn: Connection, heard: Sequence[CandidateMessage]) -> AdmittedFirings:
    """Returns the firings to record for `heard`, in order. All of its triggers have passed their gates.

    Observes `max_fires`. A message too deep in a chain of agents, or too frequent from one agent, is refused for
    good: it stays stored, and the trigger's audit trail says why it did not fire, naming the loop.
    """
    if not heard:
        return AdmittedFirings([], [])
    limit = PairLimit(conn, {each.pair for each in heard if each.pair}, heard[0].trigger.read_at)
    firings: list[NewFiring] = []
    refused: list[tuple[CandidateMessage, str]] = []
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
    return AdmittedFirings(firings, _note(conn, refused))


def firing_of(heard: CandidateMessage) -> NewFiring:
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


def _refusal(heard: CandidateMessage, firing: NewFiring, limit: PairLimit) -> str | None:
    if heard.message.lineage.is_too_deep:
        return DEPTH
    if heard.pair is not None and limit.admit(heard.pair, firing.id) is not None:
        return PAIR
    return None


def _note(conn: Connection, refused: Sequence[tuple[CandidateMessage, str]]) -> list[str]:
    notes: list[str] = []
    by_message: dict[UUID, list[UUID]] = defaultdict(list)
    events: list[Event] = []
    for heard, why in refused:
        later(conn, add(REFUSED_WAKES, 1, why))
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


def _told(conn: Connection, heard: CandidateMessage, why: str) -> str:
    message = heard.message
    names = [
        *chain_of(conn, message.from_id, message.root_id, MAX_DEPTH + 1),
        name_of(conn, heard.trigger.agent_id),
    ]
    if why == DEPTH:
        return too_deep(message.lineage, names).message
    return too_often(None, names).message


class MissCache:
    """A bounded set of texts known not to match, so that they are not matched again."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str | None, UUID], None] = OrderedDict()

    def has(self, listener: Listener, message_id: UUID) -> bool:
        """Whether this message is known not to match the listener."""
        return (listener.text_match, message_id) in self._known

    def add(self, listener: Listener, message_id: UUID) -> None:
        """Remembers a non-match."""
        self._known[listener.text_match, message_id] = None
        if len(self._known) > self._limit:
            self._known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The matches, and what to audit."""

    found: list[Look]
    events: list[Event]


def match_and_audit(conn: Connection, looks: Sequence[Look], seconds: float, misses: MissCache) -> list[Look]:
    """Matches like `match_texts` and writes the audit events."""
    looked = match_texts(looks, seconds, misses)
    record_events(conn, looked.events)
    return looked.found


def is_costly(listener: Listener) -> bool:
    """Whether matching requires an untrusted expression."""
    if listener.text_match is None:
        return False
    try:
        return _parsed(listener.text_match).regex is not None
    except ValueError:
        return True


def match_texts(
    looks: Sequence[Look], seconds: float, misses: MissCache, shares: ProcessorTime | None = None
) -> MatchResult:
    """Returns those of `looks` whose text matches, decided in order within about the given seconds.

    Expressions are untrusted. One that takes too long or can no longer be parsed counts as a non-match and is
    audited; one that was not reached, or whose agent has no `shares` left, is neither returned nor a non-match.
    """
    until = time.monotonic() + seconds
    found: list[Look] = []
    events: list[Event] = []
    for listener, message in looks:
        if listener.text_match is not None and time.monotonic() > until:
            continue
        try:
            matched, failure = _shared(listener, message, shares)
        except ShareSpent:
            continue
        if matched:
            found.append((listener, message))
        else:
            misses.add(listener, message.id)
        if failure is not None:
            detail = {"message_id": str(message.id), "why": failure}
            events.append(
                Event(
                    "trigger.match_failed",
                    message.tenant_id,
                    listener.trigger_id,
                    listener.agent_id,
                    detail=detail,
                )
            )
    return MatchResult(found, events)


def _shared(listener: Listener, message: StoredMessage, shares: ProcessorTime | None) -> tuple[bool, str | None]:
    if shares is None or not is_costly(listener):
        return _look(listener.text_match, message.text)
    return shares.use(message.tenant_id, listener.agent_id, lambda: _look(listener.text_match, message.text))


def _look(text_match: str | None, text: str) -> tuple[bool, str | None]:
    """Whether the text matches, and why that could not be decided."""
    if text_match is None:
        return True, None
    try:
        decision = _parsed(text_match).matches(text)
    except ValueError as error:  # a stored pattern that the library no longer accepts must not stop a pass
        return False, f"the expression cannot be used: {str(error)[:500]}"
    return decision.matched, "the expression took too long" if decision.timed_out else None


@lru_cache(maxsize=1024)
def _parsed(text_match: str) -> TextMatch:
    return TextMatch.model_validate_json(text_match)


MISSES = MissCache(100_000)


def check_messages(conn: Connection, triggers: Sequence[LockedTrigger]) -> list[NewFiring]:
    """Checks all due on_message triggers with one query; reads texts only where one must be matched.

    This interval check finds what intake could not match with the trigger: a message that commits late, or before its
    trigger does, because only the recorded firings decide what has fired. There is no cursor that could move past it.
    """
    due = {trigger.id: trigger for trigger in triggers}
    unfired = [each for each in find_unfired(conn, due) if not MISSES.has(*each)]
    if not unfired:
        return []
    messages = read_messages(conn, list(dict.fromkeys(message_id for _, message_id in unfired))[:MAX_READ])
    looks = [(listener, messages[message_id]) for listener, message_id in unfired if message_id in messages]
    found = match_and_audit(conn, looks, MATCH_SECONDS, MISSES)
    heard = [CandidateMessage(due[listener.trigger_id], message) for listener, message in found]
    return admit(conn, heard).firings
