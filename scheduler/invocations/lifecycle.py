"""Completes and cancels invocations, and tracks whether agents that answer 202 really report later.

`attempt` is the fencing token everywhere.
"""

from __future__ import annotations

import hmac
from uuid import UUID

from sqlalchemy import Connection, select, text, update

from scheduler.domain.acks import AckResult
from scheduler.domain.errors import Conflict, NotFound, Unauthorized
from scheduler.domain.ids import token_hash
from scheduler.domain.llm import read_usage
from scheduler.domain.model import FINAL_STATES, InvocationState
from scheduler.domain.run import Failed, Outcome, Replied
from scheduler.invocations.acks import acknowledge_reply
from scheduler.invocations.ends import conclude, lock_attempt
from scheduler.invocations.transitions import move
from scheduler.storage.audit import record_event
from scheduler.storage.tables.core import Invocation

OVERDUE = Failed("The agent accepted the work but did not report in time.", reason="deadline")
NEVER_REPORTS = Replied("", reason="no_report")
"""For an agent that has the work, where another attempt would make it do the work again."""

# SKIP LOCKED: a transaction that holds the agent's row may want the invocation that this one holds. A later report
# sets it then.
REMEMBER = text("""
    UPDATE agents SET reported_at = clock_timestamp() WHERE id IN (
        SELECT a.id FROM agents a JOIN invocations i ON i.agent_id = a.id
        WHERE i.id = :id AND a.reported_at IS NULL FOR NO KEY UPDATE OF a SKIP LOCKED
    )
""")

REPORTS = text("""
    SELECT coalesce(a.runtime ->> 'accepted', CASE WHEN a.reported_at IS NOT NULL THEN 'awaits' END) = 'awaits'
    FROM invocations i JOIN agents a ON a.id = i.agent_id WHERE i.id = :id
""")


def remember_report(conn: Connection, invocation_id: UUID) -> None:
    """Remembers that the invocation's agent reports its results."""
    conn.execute(REMEMBER, {"id": invocation_id})


def end_without_report(conn: Connection, invocation_id: UUID) -> Outcome:
    """Returns what a missing report means: a failure for an agent that reports, else the end of its work."""
    return OVERDUE if conn.scalar(REPORTS, {"id": invocation_id}) else NEVER_REPORTS


def complete(
    conn: Connection,
    invocation_id: UUID,
    attempt: int,
    *,
    reply: str | None = None,
    error: str | None = None,
    token: str | None = None,
    acks: object = None,
    usage: object = None,
    tenant_id: UUID | None = None,
    actor: str = "agent",
) -> list[AckResult]:
    """Applies an agent's own report on attempt `attempt`: it succeeded with `reply`, or failed with `error`.

    Returns the result of each of its `acks`, which are applied in either case, as its `usage` is counted in
    either. The caller is authorized by the attempt's `token`, or by belonging to `tenant_id` (a write key). A
    report may come before the agent's 202 was read, so a running attempt accepts it too. An `error` is retried
    like any failure. Raises Unauthorized (wrong token), NotFound, Conflict (another attempt, or not running: also
    the second time).
    """
    current = lock_attempt(conn, invocation_id)
    if tenant_id is None and (current is None or not _is_token(token, current.token_hash)):
        # Without the token, the caller learns nothing, not even whether it exists.
        raise Unauthorized("The complete_token does not belong to this invocation's last attempt.")
    if current is None or (tenant_id is not None and current.tenant_id != tenant_id):
        raise NotFound(f"There is no invocation {invocation_id}.")
    if not current.is_open or current.attempt != attempt:
        raise Conflict(f"Attempt {attempt} of the invocation is not running (any more).")
    spent, note = read_usage(usage)
    ended = (
        Replied(reply or "", spent=spent, note=note) if error is None else Failed(error, spent=spent, note=note)
    )
    conclude(conn, current, ended, actor)
    remember_report(conn, invocation_id)
    return [] if acks is None else acknowledge_reply(conn, invocation_id, acks)


def request_cancel(conn: Connection, tenant_id: UUID, invocation_id: UUID, actor: str) -> InvocationState:
    """Cancels what has not started; asks a running one to stop, which becomes `cancelled` when it ends.

    Idempotent. Returns the new state. Raises NotFound, and Conflict for an ended one.
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


def _is_token(token: str | None, stored: bytes | None) -> bool:
    return token is not None and stored is not None and hmac.compare_digest(token_hash(token), stored)
