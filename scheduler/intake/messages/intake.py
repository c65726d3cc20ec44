"""Takes in messages from all senders and channels and fires the triggers that listen for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Conflict, DatabaseUnavailable, InvalidField
from scheduler.domain.lineage import ROOT
from scheduler.domain.text import storable
from scheduler.firings.new_firing import gate, lock_with_jobs
from scheduler.firings.record import record_firings
from scheduler.intake.messages.firings import (
    CandidateMessage,
    Look,
    MissCache,
    admit,
    is_costly,
    match_and_audit,
    match_texts,
)
from scheduler.intake.messages.statements import (
    Listener,
    find_event,
    find_listeners,
    find_pruned_event,
    insert_message,
    read_messages,
)
from scheduler.intake.processor_time import ProcessorTime
from scheduler.intake.wakes.statements import Pair, lineage_of_running, lock_pairs
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import record_events
from scheduler.storage.engine import Database
from scheduler.storage.sessions import Talk, get_session, open_session
from scheduler.storage.tables.messages import Session
from scheduler.storage.triggers import stop_jobs

MAX_TEXT = 65_536
"""The maximum length of a message, all of which regular expressions can search."""
EXPRESSIONS = ProcessorTime()
"""The processor time that the expressions of triggers may use in this process."""
MATCH_SECONDS = 1.0
"""How long all expressions for one message may take; the rest is left to the interval check."""


class EventReused(Conflict):
    """The event_id names a message with another text."""

    problem = "event-id-reused"


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A new message: from a user or an agent to an agent, or from an agent to the user of a session."""

    tenant_id: UUID
    to_agent_id: UUID | None
    """None only for an agent's message to the user of `session_id`."""
    channel: str
    text: str
    from_user_id: UUID | None = None
    from_agent_id: UUID | None = None
    session_id: UUID | None = None
    """None: the session of sender and receiver on the channel in this `thread`, created if needed."""
    thread: str = ""
    event_id: str | None = None
    """The sender's id of the message to this receiver on this channel; repeats are ignored."""
    answers: UUID | None = None
    """The a2a_wait that an agent's message answers; None: the receiver's oldest for this sender."""

    @property
    def from_id(self) -> UUID:
        """The id of the sender."""
        sender = self.from_user_id or self.from_agent_id
        if sender is None:
            raise InvalidField("A message has a sender.", field="from")
        return sender


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A stored message and the firings it made; for a `duplicate`, those of the first time."""

    message_id: UUID
    session_id: UUID
    duplicate: bool = False
    firing_ids: list[UUID] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Why it did not wake a listening agent: the limits on wakes between agents."""
    undecided: list[Look] = field(default_factory=list)
    """Listening triggers with expressions, for `fire_matching` after the commit, or else for the interval check."""


def receive_message(conn: Connection, message: NewMessage) -> ReceivedMessage:
    """Stores a message and fires its listeners in the caller's transaction, except expressions: see `fire_matching`.

    An agent's message carries the lineage of its running invocation. U+0000 and lone surrogates, which cannot be
    stored, are replaced. Raises NotFound (agent, session), InvalidField (text, session_id, to_agent_id), and
    EventReused when the event was used for another text.
    """
    text = checked_text(message.text, "text")
    session = _session(conn, message)
    lineage = ROOT if message.from_agent_id is None else lineage_of_running(conn, message.from_agent_id)
    values = {
        "tenant_id": message.tenant_id,
        "session_id": session.id,
        "from_type": "user" if message.from_agent_id is None else "agent",
        "from_id": message.from_id,
        "to_agent_id": message.to_agent_id,
        "channel": message.channel,
        "text": text,
        "event_id": message.event_id,
        "root_id": lineage.root_id,
        "depth": lineage.depth,
    }
    spent = None if message.event_id is None else find_pruned_event(conn, values)
    if spent is not None:
        _check_same(message, spent.id, is_same=spent.content_hash == sha256(text.encode()).digest())
        return ReceivedMessage(spent.id, session.id, duplicate=True)
    message_id = insert_message(conn, values)
    if message_id is None:
        first = find_event(conn, values)
        _check_same(message, first.id, is_same=first.text == text)
        return ReceivedMessage(first.id, first.session_id, duplicate=True)
    firing_ids, refused, undecided = _fire(conn, message_id, message.answers)
    return ReceivedMessage(message_id, session.id, firing_ids=firing_ids, refused=refused, undecided=undecided)


def _check_same(message: NewMessage, first_id: UUID, *, is_same: bool) -> None:
    if not is_same:
        raise EventReused(
            f"event_id {message.event_id!r} was already used for message {first_id} from the same sender to the same "
            "agent on this channel, with another text; use a new event_id for a new text.",
            field="event_id",
        )


def fire_matching(db: Database, received: ReceivedMessage) -> ReceivedMessage:
    """Matches the expressions that listen for a committed message and fires those that match.

    Holds no connection while matching, as expressions may be slow. The interval check finds what is not decided
    here, because its agent has used up its processor time or the process or database failed.
    """
    if not received.undecided:
        return received
    looked = match_texts(received.undecided, MATCH_SECONDS, MissCache(len(received.undecided)), EXPRESSIONS)
    if not looked.found and not looked.events:
        return replace(received, undecided=[])
    try:
        with db.begin() as conn:
            record_events(conn, looked.events)
            firing_ids, refused = _fire_found(conn, looked.found)
    except DatabaseUnavailable:
        return replace(received, undecided=[])
    return replace(
        received,
        firing_ids=[*received.firing_ids, *firing_ids],
        refused=[*received.refused, *refused],
        undecided=[],
    )


def checked_text(text: str, field: str) -> str:
    """Returns the text in storable form; raises InvalidField on `field` when it is empty or too long."""
    if not text:
        raise InvalidField(f"{field} is empty.", field=field)
    if len(text) > MAX_TEXT:
        raise InvalidField(f"{field} is {len(text)} characters long; {MAX_TEXT} are allowed.", field=field)
    return storable(text)[0]


def _session(conn: Connection, message: NewMessage) -> Session:
    """Returns the session of the message: the given one, if both take part in it, or the usual one of the two."""
    if message.to_agent_id is not None:
        get_agent(conn, message.tenant_id, message.to_agent_id)
    if message.to_agent_id == message.from_agent_id:
        raise InvalidField("An agent does not write to itself; wake it instead.", field="to_agent_id")
    if message.session_id is not None:
        session = get_session(conn, message.tenant_id, message.session_id)
        inside = {session.agent_id, session.user_id, session.peer_agent_id}
        if message.from_id not in inside or message.to_agent_id not in {*inside, None}:
            raise InvalidField("The session does not belong to this sender and receiver.", field="session_id")
        return session
    if message.to_agent_id is None:
        raise InvalidField("A message to a user needs a session.", field="session_id")
    talk = Talk(
        message.to_agent_id,
        message.channel,
        message.thread,
        user_id=message.from_user_id,
        peer_agent_id=message.from_agent_id,
    )
    return open_session(conn, message.tenant_id, talk)


def _fire(conn: Connection, message_id: UUID, answers: UUID | None) -> tuple[list[UUID], list[str], list[Look]]:
    """Returns what fired, what was refused, and what is left to expressions."""
    listeners = _one_wait(find_listeners(conn, message_id), answers)
    if not listeners:
        return [], [], []
    message = read_messages(conn, [message_id])[message_id]
    looks = [(each, message) for each in listeners]
    undecided = [each for each in looks if is_costly(each[0])]
    at_once = [each for each in looks if each not in undecided]
    found = match_and_audit(conn, at_once, MATCH_SECONDS, MissCache(len(looks)))
    return (*_fire_found(conn, found), undecided)


def _fire_found(conn: Connection, found: Sequence[Look]) -> tuple[list[UUID], list[str]]:
    if not found:
        return [], []
    message = found[0][1]
    if message.from_agent_id is not None:
        lock_pairs(conn, {Pair(message.from_agent_id, listener.agent_id) for listener, _ in found})
    triggers = lock_with_jobs(conn, [listener.trigger_id for listener, _ in found])
    heard = [CandidateMessage(each, message) for each in triggers.values() if gate(each, each.read_at) is None]
    admitted = admit(conn, heard)
    recorded = record_firings(conn, admitted.firings)
    if recorded.exhausted:
        stop_jobs(conn, recorded.exhausted)
    return list(recorded.inserted), admitted.notes


def _one_wait(listeners: Sequence[Listener], answers: UUID | None) -> list[Listener]:
    """Leaves out the waits for other answers."""
    waits = sorted(each.trigger_id for each in listeners if each.is_wait)
    answered = answers or next(iter(waits), None)
    return [each for each in listeners if not each.is_wait or each.trigger_id == answered]
