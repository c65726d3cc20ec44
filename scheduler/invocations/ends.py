"""Ends attempts: applies an outcome with all its consequences to any number of attempts in a few statements."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, text

from scheduler.domain.llm import ResponseUsage
from scheduler.domain.model import FINAL_STATES, InvocationState
from scheduler.domain.retries import PUT_OFF_FOR, SPREAD, is_last_try, retry_delay
from scheduler.domain.run import Accepted, Failed, HandedBack, Outcome, Replied, Skipped
from scheduler.domain.text import storable
from scheduler.invocations.acks import acknowledge_reply
from scheduler.invocations.transitions import EACH, NOW, Transition, free_agents, move, move_each
from scheduler.notifications.notify import ask_runs, notify_of_failures, notify_people
from scheduler.queue.tasks import defer_cancels
from scheduler.storage.arrays import uuid_array
from scheduler.storage.audit import SYSTEM
from scheduler.storage.engine import SOON, notify
from scheduler.storage.pipelines import send_along
from scheduler.storage.remote_tasks import find_cancellable
from scheduler.storage.tables.core import Agent, Invocation
from scheduler.storage.transcripts import ask_untold, keep_reflections
from scheduler.storage.usage import count_all_spent, count_invocations

ERROR_LENGTH = 2000
"""The most characters of an error that are stored."""

HANDED_BACK = "handed_back"
"""The outcome of an attempt that does not count toward MAX_TRIES: the worker had to stop, the agent did not fail."""
PUT_OFF = "put_off"
"""The outcome of an attempt that does not count at first: the agent or its model said when to come back."""

LOCK_ATTEMPTS = text("""
    SELECT id, tenant_id, state, attempt, started_at, tries, cancel_requested, complete_token_hash, clock_timestamp()
    FROM invocations WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
""")

_TIMEOUT = select(Agent.timeout_seconds).where(Agent.id == Invocation.agent_id).scalar_subquery()
_DEADLINE = NOW + func.make_interval(0, 0, 0, 0, 0, 0, _TIMEOUT)  # the last one is in seconds
_OF_END = {"tries": EACH.c.tries, "reason": EACH.c.reason}
_OF_RETRY = {"due_at": NOW + func.make_interval(0, 0, 0, 0, 0, 0, EACH.c.delay)}
_OF_REPLY = {
    "reply": func.coalesce(EACH.c.reply, Invocation.reply),
    "reply_truncated": func.coalesce(EACH.c.reply_truncated, Invocation.reply_truncated),
}
"""The columns that an end, one that is retried, and one with a reply write."""

_LEFT_RUNNING = frozenset({"timeout", "worker_lost"})
"""The reasons of a last attempt that was given up here, while its run may go on at its service."""
_RUN_TO_ITS_END = (InvocationState.SUCCEEDED, InvocationState.DEAD, InvocationState.CANCELLED)


@dataclass(frozen=True, slots=True)
class LockedAttempt:
    """A locked invocation with the data for ending its attempt."""

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
        """Whether the attempt has begun and not ended."""
        return self.state in (InvocationState.RUNNING, InvocationState.AWAITING)

    @property
    def failed_tries(self) -> int:
        """How many earlier attempts failed or were postponed by the agent."""
        return sum(each["outcome"] != HANDED_BACK for each in self.tries)

    @property
    def counted_tries(self) -> int:
        """How many earlier attempts count toward MAX_TRIES."""
        return sum(each["outcome"] not in (HANDED_BACK, PUT_OFF) for each in self.tries)

    @property
    def since_first(self) -> timedelta:
        """The time since the first attempt began."""
        return self.now - (datetime.fromisoformat(self.tries[0]["started_at"]) if self.tries else self.started_at)


@dataclass(frozen=True, slots=True)
class _End:
    """The decision for an ended attempt."""

    current: LockedAttempt
    outcome: Outcome
    target: InvocationState
    reason: str | None = None
    delay: float | None = None
    """The seconds until the next attempt."""

    @property
    def reply(self) -> dict[str, Any]:
        """Returns the reply to store; none for an attempt without an answer."""
        if not isinstance(self.outcome, Replied):
            return {}
        words, cut = storable(self.outcome.text)
        return {"reply": words, "reply_truncated": self.outcome.truncated or cut}


def finish_all(conn: Connection, ends: Sequence[tuple[UUID, int, Outcome]]) -> list[bool]:
    """Ends running attempts, each (invocation id, attempt, outcome); returns for each whether it was still
    running.
    """
    current = lock_attempts(conn, [each for each, _, _ in ends])
    running = [
        (current[each], outcome)
        for each, attempt, outcome in ends
        if each in current and current[each].state is InvocationState.RUNNING and current[each].attempt == attempt
    ]
    conclude_all(conn, running)
    ended = {each.id for each, _ in running}
    return [each in ended for each, _, _ in ends]


def lock_attempt(conn: Connection, invocation_id: UUID) -> LockedAttempt | None:
    """Locks an invocation and reads its last attempt."""
    return lock_attempts(conn, [invocation_id]).get(invocation_id)


def lock_attempts(conn: Connection, ids: Collection[UUID]) -> dict[UUID, LockedAttempt]:
    """Locks invocations, ordered by id, and reads their last attempts."""
    rows = send_along(conn, LOCK_ATTEMPTS, ids=uuid_array(ids)).all()
    return {row[0]: LockedAttempt(row[0], row[1], InvocationState(row[2]), *row[3:]) for row in rows}


def conclude(conn: Connection, current: LockedAttempt, outcome: Outcome, actor: str = SYSTEM) -> None:
    """Ends the locked attempt `current`."""
    conclude_all(conn, [(current, outcome)], actor)


def conclude_all(conn: Connection, ends: Sequence[tuple[LockedAttempt, Outcome]], actor: str = SYSTEM) -> None:
    """Ends locked attempts, each with its outcome, set-wise: those with the same result are written together."""
    alike: dict[tuple[InvocationState, InvocationState], list[_End]] = defaultdict(list)
    for current, outcome in ends:
        end = _decide(current, outcome)
        alike[current.state, end.target].append(end)
    ended: list[Transition] = []
    for (source, target), group in alike.items():
        if target is InvocationState.AWAITING:
            _await(conn, source, group)
        else:
            moved = _move_on(conn, source, target, group, actor)
            ended += moved if target in FINAL_STATES else []
    free_agents(conn, ended)
    _tell(conn, [end for group in alike.values() for end in group])


def _decide(current: LockedAttempt, outcome: Outcome) -> _End:
    """Decides what follows from an outcome. The only place that does."""
    if current.cancel_requested and not isinstance(outcome, Accepted):
        return _End(current, outcome, InvocationState.CANCELLED, "cancelled")
    match outcome:
        case Accepted():
            return _End(current, outcome, InvocationState.AWAITING)
        case Replied():
            return _End(current, outcome, InvocationState.SUCCEEDED, outcome.reason)
        case Skipped(reason):
            return _End(current, outcome, InvocationState.SKIPPED, reason)
        case HandedBack(reason):
            return _End(current, outcome, InvocationState.RETRYING, reason, 0.0)
        case Failed(_, permanent, retry_after, reason):
            if permanent or is_last_try(
                current.counted_tries, current.since_first, was_put_off=outcome.was_put_off
            ):
                return _End(current, outcome, InvocationState.DEAD, reason)
            delay = retry_delay(current.failed_tries + 1, retry_after, random.uniform(-SPREAD, SPREAD))  # noqa: S311
            return _End(current, outcome, InvocationState.RETRYING, reason, delay)


def _await(conn: Connection, source: InvocationState, ends: Sequence[_End]) -> None:
    ids = [end.current.id for end in ends]
    move(conn, ids, source, InvocationState.AWAITING, deadline_at=_DEADLINE)


def _move_on(
    conn: Connection, source: InvocationState, target: InvocationState, ends: Sequence[_End], actor: str
) -> list[Transition]:
    values: dict[str, Any] = dict(_OF_END)
    if target is InvocationState.RETRYING:
        values |= _OF_RETRY
    if any(isinstance(end.outcome, Replied) for end in ends):
        values |= _OF_REPLY
    rows, details = [], {}
    for end in ends:
        ended = _ended_attempt(end.current, end.outcome, cancelled=target is InvocationState.CANCELLED)
        details[end.current.id] = {"reason": end.reason} | ({"error": ended["error"]} if ended["error"] else {})
        rows.append(
            {
                "id": end.current.id,
                "attempt": end.current.attempt,
                "tries": [*end.current.tries, ended],
                "reason": end.reason,
                "delay": end.delay,
                **end.reply,
            }
        )
    moved = move_each(conn, rows, source, target, actor=actor, details=details, **values)
    if any(end.delay is not None and end.delay <= SOON.total_seconds() for end in ends):
        notify(conn)
    return moved


def _tell(conn: Connection, ends: Sequence[_End]) -> None:
    """Applies the consequences of the ends: usage, transcripts, notifications and acknowledgements."""
    spent = {each.current.id: taken for each in ends if (taken := _spent(each.outcome)) is not None}
    if spent:
        count_all_spent(conn, spent)
    final = [end for end in ends if end.target in _RUN_TO_ITS_END]
    succeeded = [end for end in final if end.target is InvocationState.SUCCEEDED]
    if final:
        count_invocations(conn, [end.current.id for end in final])
        runs = ask_runs(conn, [end.current.id for end in succeeded])
        untold = ask_untold(conn, [end.current.id for end in final])
        keep_reflections(conn, {end.current.id: end.reply.get("reply", "") for end in final}, untold)
        notify_people(conn, {end.current.id: end.reply["reply"] for end in succeeded}, runs)
    left = [end.current.id for end in final if end.target is InvocationState.DEAD and end.reason in _LEFT_RUNNING]
    defer_cancels(conn, find_cancellable(conn, left))
    failed = [end for end in ends if end.target in (InvocationState.DEAD, InvocationState.SKIPPED)]
    notify_of_failures(conn, {end.current.id: end.reason for end in failed})
    for end in succeeded:
        if isinstance(end.outcome, Replied) and end.outcome.acks is not None:
            acknowledge_reply(conn, end.current.id, end.outcome.acks)


def _spent(outcome: Outcome) -> ResponseUsage | None:
    return outcome.spent if isinstance(outcome, Replied | Failed) else None


def _ended_attempt(current: LockedAttempt, outcome: Outcome, *, cancelled: bool) -> dict[str, Any]:
    note = outcome.note if isinstance(outcome, Replied | Failed) else None
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
        **({"note": storable(note)[0][:ERROR_LENGTH]} if note else {}),
    }
