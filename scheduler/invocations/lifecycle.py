"""From ready to its end: claiming an invocation, ending a try, cancelling. `attempt` is the fence everywhere."""

from __future__ import annotations

import hmac
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, update

from scheduler.domain.acks import Acked
from scheduler.domain.errors import Conflict, NotFound, Unauthorized
from scheduler.domain.ids import new_token, token_hash
from scheduler.domain.model import FINAL_STATES, InvocationState
from scheduler.domain.retries import PUT_OFF_FOR, SPREAD, is_last_try, retry_delay
from scheduler.domain.run import Accepted, Failed, HandedBack, Outcome, Replied, Skipped
from scheduler.domain.text import storable
from scheduler.invocations.acks import acknowledge_reply
from scheduler.invocations.reports import remember_report
from scheduler.invocations.transitions import NOW, move
from scheduler.notifications.notify import notify_people, tell_of_failure
from scheduler.storage.audit import SYSTEM, record_event
from scheduler.storage.engine import notify
from scheduler.storage.tables import Agent, Invocation
from scheduler.storage.transcripts import keep_reflection
from scheduler.storage.usage import count_invocation

SOON = 5.0
"""Schedulers look at least this often, so only what is due sooner needs a NOTIFY."""
ERROR_LENGTH = 2000
"""Characters of an error that are kept."""

HANDED_BACK = "handed_back"
"""The outcome of a try that does not count against MAX_TRIES: the worker had to stop, the agent did not fail."""
PUT_OFF = "put_off"
"""Of one that does not either, for a time: the agent, or its model, said when to come back."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An invocation that this worker, and nobody else, runs now. `complete_token` is stored only as its hash."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    attempt: int
    firing_ids: list[UUID]
    complete_token: str


@dataclass(frozen=True, slots=True)
class Try:
    """A locked invocation, as the end of its try needs it."""

    id: UUID
    tenant_id: UUID
    state: InvocationState
    attempt: int
    started_at: datetime
    tries: list[dict[str, Any]]
    cancel_requested: bool
    token_hash: bytes | None
    now: datetime

    @property
    def is_open(self) -> bool:
        """Whether the try has begun and not ended."""
        return self.state in (InvocationState.RUNNING, InvocationState.AWAITING)

    @property
    def failed_tries(self) -> int:
        """How many tries before this one failed, or were put off by the agent."""
        return sum(each["outcome"] != HANDED_BACK for each in self.tries)

    @property
    def counted_tries(self) -> int:
        """How many tries before this one count against MAX_TRIES."""
        return sum(each["outcome"] not in (HANDED_BACK, PUT_OFF) for each in self.tries)

    @property
    def since_first(self) -> timedelta:
        """The time since the first try began."""
        return self.now - (datetime.fromisoformat(self.tries[0]["started_at"]) if self.tries else self.started_at)


def claim(conn: Connection, invocation_id: UUID, worker: str, attempt: int | None = None) -> Claimed | None:
    """Take a ready invocation; None when it is not (any more): cancelled, taken, or at another `attempt`.

    `attempt` is the number this try would have; `worker` is `HOST:PID`.
    """
    token = new_token()
    moved = move(
        conn,
        [invocation_id],
        InvocationState.READY,
        InvocationState.RUNNING,
        fence=None if attempt is None else attempt - 1,
        attempt=Invocation.attempt + 1,
        worker=worker,
        complete_token_hash=token_hash(token),
    )
    if not moved:
        return None
    taken = moved[0]
    return Claimed(taken.id, taken.tenant_id, taken.agent_id, taken.attempt, taken.firing_ids or [], token)


def finish(conn: Connection, invocation_id: UUID, attempt: int, outcome: Outcome) -> bool:
    """End the running try `attempt` with `outcome`; False when that try is no longer running."""
    current = lock_try(conn, invocation_id)
    if current is None or current.state is not InvocationState.RUNNING or current.attempt != attempt:
        return False
    conclude(conn, current, outcome)
    return True


def complete(
    conn: Connection,
    invocation_id: UUID,
    attempt: int,
    *,
    reply: str | None = None,
    error: str | None = None,
    token: str | None = None,
    acks: object = None,
    tenant_id: UUID | None = None,
    actor: str = "agent",
) -> list[Acked]:
    """Take an agent's own report on the try `attempt`: it succeeded with `reply`, or failed with `error`.

    Returns what became of each of its `acks`, which are taken in either case.

    The caller is admitted by the try's `token`, or by being of `tenant_id` (a write key). A report may come
    before the agent's 202 was read, so a running try takes it as well. An `error` is retried like any failure.
    Raises Unauthorized (wrong token), NotFound, Conflict (another attempt, or not running: also the second time).
    """
    current = lock_try(conn, invocation_id)
    if tenant_id is None and (current is None or not _is_token(token, current.token_hash)):
        # Whoever has no token of it learns nothing, not even whether it exists.
        raise Unauthorized("The complete_token is not that of this invocation's last attempt.")
    if current is None or (tenant_id is not None and current.tenant_id != tenant_id):
        raise NotFound(f"There is no invocation {invocation_id}.")
    if not current.is_open or current.attempt != attempt:
        raise Conflict(f"Attempt {attempt} of the invocation is not running (any more).")
    conclude(conn, current, Replied(reply or "") if error is None else Failed(error), actor)
    remember_report(conn, invocation_id)
    return [] if acks is None else acknowledge_reply(conn, invocation_id, acks)


def request_cancel(conn: Connection, tenant_id: UUID, invocation_id: UUID, actor: str) -> InvocationState:
    """Cancel what has not started; ask what runs to stop, which its end then makes `cancelled`. Idempotent.

    Returns the state after it. Raises NotFound, and Conflict for one that has ended.
    """
    state = conn.execute(
        select(Invocation.state)
        .where(Invocation.id == invocation_id, Invocation.tenant_id == tenant_id)
        .with_for_update()
    ).scalar_one_or_none()
    if state is None:
        raise NotFound(f"There is no invocation {invocation_id}.")
    source = InvocationState(state)
    if source in FINAL_STATES:
        raise Conflict(f"The invocation is {source}: there is nothing left to cancel.")
    if source not in (InvocationState.RUNNING, InvocationState.AWAITING):
        move(conn, [invocation_id], source, InvocationState.CANCELLED, actor=actor, reason="cancelled")
        return InvocationState.CANCELLED
    asked = conn.execute(
        update(Invocation)
        .where(Invocation.id == invocation_id, Invocation.cancel_requested.is_(False))
        .values(cancel_requested=True)
        .returning(Invocation.agent_id)
    ).scalar_one_or_none()
    if asked is not None:
        record_event(
            conn,
            action="invocation.cancel_requested",
            tenant_id=tenant_id,
            subject_id=invocation_id,
            agent_id=asked,
            actor=actor,
        )
    return source


def lock_try(conn: Connection, invocation_id: UUID) -> Try | None:
    """Lock an invocation and read its last try."""
    row = conn.execute(
        select(
            Invocation.id,
            Invocation.tenant_id,
            Invocation.state,
            Invocation.attempt,
            Invocation.started_at,
            Invocation.tries,
            Invocation.cancel_requested,
            Invocation.complete_token_hash,
            NOW,
        )
        .where(Invocation.id == invocation_id)
        .with_for_update()
    ).one_or_none()
    return None if row is None else Try(row[0], row[1], InvocationState(row[2]), *row[3:])


def conclude(conn: Connection, current: Try, outcome: Outcome, actor: str = SYSTEM) -> None:
    """End the locked try `current`: the one place that decides what an outcome leads to."""
    if current.cancel_requested and not isinstance(outcome, Accepted):
        _end(conn, current, InvocationState.CANCELLED, "cancelled", outcome, actor)
        return
    match outcome:
        case Accepted():
            timeout = select(Agent.timeout_seconds).where(Agent.id == Invocation.agent_id).scalar_subquery()
            deadline = NOW + func.make_interval(0, 0, 0, 0, 0, 0, timeout)  # the last one is seconds
            move(conn, [current.id], current.state, InvocationState.AWAITING, deadline_at=deadline)
        case Replied():
            _end(conn, current, InvocationState.SUCCEEDED, outcome.reason, outcome, actor)
            if outcome.acks is not None:
                acknowledge_reply(conn, current.id, outcome.acks)
        case Skipped(reason):
            _end(conn, current, InvocationState.SKIPPED, reason, outcome, actor)
        case HandedBack(reason):
            _retry(conn, current, 0.0, reason, outcome, actor)
        case Failed(_, permanent, retry_after, reason):
            if permanent or is_last_try(
                current.counted_tries, current.since_first, was_put_off=outcome.was_put_off
            ):
                _end(conn, current, InvocationState.DEAD, reason, outcome, actor)
            else:
                delay = retry_delay(current.failed_tries + 1, retry_after, random.uniform(-SPREAD, SPREAD))  # noqa: S311
                _retry(conn, current, delay, reason, outcome, actor)


def _end(
    conn: Connection, current: Try, target: InvocationState, reason: str | None, outcome: Outcome, actor: str
) -> None:
    reply: dict[str, Any] = {}
    if isinstance(outcome, Replied):
        text, cut = storable(outcome.text)
        reply = {"reply": text, "reply_truncated": outcome.truncated or cut}
    _move_on(conn, current, target, outcome, actor, reason=reason, **reply)
    if target is not InvocationState.SKIPPED:
        count_invocation(conn, current.id)
        keep_reflection(conn, current.id, reply.get("reply", ""))
    if target is InvocationState.SUCCEEDED:
        notify_people(conn, current.id, reply["reply"])
    elif target is not InvocationState.CANCELLED:
        tell_of_failure(conn, current.id, reason)


def _retry(conn: Connection, current: Try, delay: float, reason: str, outcome: Outcome, actor: str) -> None:
    due_at = NOW + timedelta(seconds=delay)
    _move_on(conn, current, InvocationState.RETRYING, outcome, actor, reason=reason, due_at=due_at)
    if delay <= SOON:
        notify(conn)


def _move_on(
    conn: Connection, current: Try, target: InvocationState, outcome: Outcome, actor: str, **values: Any
) -> None:
    ended = _ended_try(current, outcome, cancelled=target is InvocationState.CANCELLED)
    detail = {"error": ended["error"]} if ended["error"] else {}
    move(
        conn,
        [current.id],
        current.state,
        target,
        actor=actor,
        detail=detail,
        tries=[*current.tries, ended],
        **values,
    )


def _ended_try(current: Try, outcome: Outcome, *, cancelled: bool) -> dict[str, Any]:
    words = {Failed: "failed", HandedBack: HANDED_BACK, Skipped: "skipped"}
    word = "cancelled" if cancelled else words.get(type(outcome), "succeeded")
    if (
        word == "failed"
        and isinstance(outcome, Failed)
        and outcome.was_put_off
        and current.since_first < PUT_OFF_FOR
    ):
        word = PUT_OFF
    return {
        "attempt": current.attempt,
        "started_at": current.started_at.isoformat(),
        "ended_at": current.now.isoformat(),
        "outcome": word,
        "error": storable(outcome.error)[0][:ERROR_LENGTH] if isinstance(outcome, Failed) else None,
    }


def _is_token(token: str | None, stored: bytes | None) -> bool:
    return token is not None and stored is not None and hmac.compare_digest(token_hash(token), stored)
