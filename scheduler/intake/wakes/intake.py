"""Handles wakes by a call from a person or another agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Conflict, LimitReached, NotFound
from scheduler.domain.ids import new_id
from scheduler.domain.lineage import DEPTH, PAIR, ROOT, Lineage, too_deep, too_often
from scheduler.domain.model import MAX_DEPTH, Trust
from scheduler.firings.new_firing import LockedTrigger, NewFiring, gate, lock_triggers
from scheduler.firings.record import record_firings
from scheduler.intake.messages.intake import checked_text
from scheduler.intake.wakes.statements import (
    WAKE_NAME,
    Pair,
    PairLimit,
    chain_of,
    hold_window,
    lineage_of_running,
    lock_pairs,
    name_of,
    wake_trigger_of,
)
from scheduler.metrics import REFUSED_WAKES, add, later
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import record_event
from scheduler.storage.engine import Database
from scheduler.storage.idempotency import KeyedRequest, answered_before, keep_answer


@dataclass(frozen=True, slots=True)
class Call:
    """Who is called, by whom, and with which message. `skip_dedup`: the agent's window closes now."""

    tenant_id: UUID
    agent_id: UUID
    message: str
    from_agent_id: UUID | None = None
    skip_dedup: bool = False
    delegation_id: UUID | None = None
    """The calling agent's a2a_wait for the answer."""
    task_id: UUID | None = None
    """The A2A task, by the firing of its first message, that the message continues."""
    traceparent: str | None = None
    """The valid trace context of the call."""


@dataclass(frozen=True, slots=True)
class WakeResult:
    """The firing of a call and the invocation that carries it."""

    firing_id: UUID
    invocation_id: UUID
    duplicate: bool = False
    """An earlier identical request made it."""


def wake(db: Database, call: Call, *, actor: str, request: KeyedRequest | None = None) -> WakeResult:
    """Fires an agent's wake trigger. Refusals are audited. A repeated `request` returns the earlier result.

    Raises NotFound (an agent), InvalidField (the message), Conflict (wakes are paused), and LimitReached for a
    call that would be too deep in a chain of agents, or comes too often from the same agent.
    """
    with db.begin() as conn:
        before = answered_before(conn, request)
        if before is not None:
            return WakeResult(UUID(before["firing_id"]), UUID(before["invocation_id"]), duplicate=True)
        outcome = wake_in_transaction(conn, call, actor=actor)
        if isinstance(outcome, WakeResult):
            made = {"firing_id": str(outcome.firing_id), "invocation_id": str(outcome.invocation_id)}
            keep_answer(conn, request, made)
    if isinstance(outcome, LimitReached):
        raise outcome
    return outcome


def wake_in_transaction(conn: Connection, call: Call, *, actor: str) -> WakeResult | LimitReached:
    """Wakes like `wake`, in the caller's transaction. Returns a refusal, so that its audit event can be committed."""
    outcome = _wake(conn, call, actor)
    if isinstance(outcome, LimitReached):
        _audit(conn, call, actor, "wake_refused", why=outcome.message)
    return outcome


def asked_firing(
    conn: Connection, trigger: LockedTrigger, *, by_agent: bool, seen: dict[str, Any] | None = None
) -> NewFiring:
    """Creates a firing requested now, regardless of schedule and cooldown; `seen`: what a poll found.

    When its own agent requests it during a run, it continues the run's chain, and raises LimitReached if that is
    too deep.
    """
    lineage = lineage_of_running(conn, trigger.agent_id) if by_agent else ROOT
    if lineage.is_too_deep:
        chain = chain_of(conn, trigger.agent_id, lineage.root_id, MAX_DEPTH + 1)
        raise too_deep(lineage, [*chain, name_of(conn, trigger.agent_id)])
    id_ = new_id()
    return NewFiring(
        trigger,
        f"manual:{id_}",
        id_,
        data=seen,
        trust=Trust.SYSTEM if seen is None else Trust.UNAUTHENTICATED,
        ignore_cooldown=True,
        ignore_pace=not by_agent,
        root_id=lineage.root_id,
        depth=lineage.depth,
    )


def _wake(conn: Connection, call: Call, actor: str) -> WakeResult | LimitReached:
    text = checked_text(call.message, "message")
    get_agent(conn, call.tenant_id, call.agent_id)
    sender: dict[str, Any] = {"type": "caller", "id": None, "name": actor}
    lineage, pairs = ROOT, set[Pair]()
    if call.from_agent_id is not None:
        name = get_agent(conn, call.tenant_id, call.from_agent_id).name
        sender = {"type": "agent", "id": str(call.from_agent_id), "name": name}
        pairs = {Pair(call.from_agent_id, call.agent_id)}
        lock_pairs(conn, pairs)
        lineage = lineage_of_running(conn, call.from_agent_id)
    trigger = _locked_trigger(conn, call.agent_id)
    firing_id = new_id()
    refusal = _refusal(conn, pairs, lineage, trigger, firing_id)
    told: dict[str, Any] = {"from": sender, "text": text, "length": len(text)}
    if call.delegation_id is not None:
        told["delegation_id"] = str(call.delegation_id)
    if call.task_id is not None:
        told["task_id"] = str(call.task_id)
    if refusal is not None:
        return refusal
    firing = NewFiring(
        trigger,
        f"wake:{firing_id}",
        firing_id,
        data={"messages": [told]},
        trust=Trust.AGENT if pairs else Trust.VERIFIED,
        immediate=call.skip_dedup,
        root_id=lineage.root_id,
        depth=lineage.depth,
        traceparent=call.traceparent,
    )
    recorded = record_firings(conn, [firing])
    _audit(conn, call, actor, "woken", firing_id=str(firing_id))
    return WakeResult(firing_id, recorded.inserted[firing_id])


def _locked_trigger(conn: Connection, agent_id: UUID) -> LockedTrigger:
    trigger_id = wake_trigger_of(conn, agent_id)
    trigger = lock_triggers(conn, [trigger_id]).get(trigger_id) if trigger_id else None
    if trigger is None:
        raise NotFound(f"There is no agent '{agent_id}'.")
    closed = gate(trigger, trigger.read_at)
    if closed:
        raise Conflict(f"The agent accepts no calls: its trigger {WAKE_NAME!r} is {closed}. Resume it first.")
    return trigger


def _refusal(
    conn: Connection, pairs: set[Pair], lineage: Lineage, trigger: LockedTrigger, firing_id: UUID
) -> LimitReached | None:
    if pairs:
        hold_window(conn, trigger.agent_id)
    limit = PairLimit(conn, pairs, trigger.read_at)
    for pair in pairs:
        wait = None if lineage.is_too_deep else limit.admit(pair, firing_id)
        if lineage.is_too_deep or wait is not None:
            chain = chain_of(conn, pair.from_agent_id, lineage.root_id, MAX_DEPTH + 1)
            names = [*chain, name_of(conn, pair.agent_id)]
            later(conn, add(REFUSED_WAKES, 1, DEPTH if wait is None else PAIR))
            return too_deep(lineage, names) if wait is None else too_often(wait, names)
    limit.write()
    return None


def _audit(conn: Connection, call: Call, actor: str, verb: str, **detail: object) -> None:
    caller = {} if call.from_agent_id is None else {"from_agent_id": str(call.from_agent_id)}
    record_event(
        conn,
        action=f"agent.{verb}",
        tenant_id=call.tenant_id,
        subject_id=call.agent_id,
        agent_id=call.agent_id,
        actor=actor,
        **caller,
        **detail,
    )
