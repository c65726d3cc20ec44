"""Closes windows; the only place where invocations become ready. Set-wise, and without waiting for locks.

At most one row per agent is active (`ready | running | awaiting | retrying`). A window that is due meanwhile is
held, and the end of the active one makes it due again. So that neither misses the other, a window is only held
under the active row's lock; without it the window stays due and is tried again in milliseconds. The row
that pauses an agent (its own, its tenant's or the service's) is locked for the same reason; budgets.py locks limits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.ids import new_id
from scheduler.domain.model import HeldReason, InvocationState
from scheduler.invocations.budgets import BudgetDecisions, DueWindow, free_due_windows, judge
from scheduler.invocations.replay import return_deferred
from scheduler.invocations.transitions import Transition, check_move, freeing, move
from scheduler.notifications.notify import notify_of_failures
from scheduler.queue.tasks import defer_runs
from scheduler.storage.arrays import uuid_array
from scheduler.storage.engine import notify
from scheduler.storage.fair_shares import ask_waiting, due_of, due_of_tenants, share_parameters, shares_of
from scheduler.storage.pauses import SERVICE_IS_PAUSED
from scheduler.storage.pipelines import Answer, send_along
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import IS_ACTIVE

# States are literals, so that partial indexes are used, and the clock is read once, for the same reason.
_IS_OPEN = "state IN ('collecting', 'retrying')"
_OPEN = f"SELECT id, agent_id, state, firing_count, opened_at, due_at FROM invocations WHERE {_IS_OPEN}"  # noqa: S608
CLAIM_DUE = text(f"""
    {_OPEN} AND due_at <= (SELECT clock_timestamp()) ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")  # a constant of ours
CLAIM_SHARES = text(f"""
    SELECT theirs.* FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:shares AS int[])) AS v(tenant_id, share)
    CROSS JOIN LATERAL (
        {_OPEN} AND {due_of("due_at", "v.tenant_id")} ORDER BY tenant_id, due_at LIMIT v.share FOR UPDATE SKIP LOCKED
    ) AS theirs
""")  # noqa: S608  # both parts are ours
DUE = due_of_tenants("invocations", "due_at", _IS_OPEN)

NEXT_DUE = text("""
    SELECT extract(epoch FROM least(
        (SELECT min(due_at) FROM invocations WHERE state IN ('collecting', 'retrying')),
        (SELECT min(held_until) FROM invocations WHERE held_until IS NOT NULL),
        (SELECT min(deferred_until) FROM firings WHERE ack = 'deferred' AND state = 'delivered')
    ) - clock_timestamp())::float8
""")

READ_AGENTS = text(f"""
    SELECT a.id, a.is_paused OR n.is_paused OR {SERVICE_IS_PAUSED} AS is_paused, a.max_batch,
        CASE WHEN a.deleted_at IS NOT NULL THEN 'agent_deleted'
             WHEN a.expires_at <= (SELECT clock_timestamp()) THEN 'agent_expired' END AS gone,
        coalesce(a.max_tokens_per_day, a.max_invocations_per_hour,
            n.max_tokens_per_day, n.max_invocations_per_hour) IS NOT NULL AS has_budget
    FROM agents a JOIN tenants n ON n.id = a.tenant_id WHERE a.id = ANY(CAST(:agent_ids AS uuid[]))
""")  # noqa: S608  # a constant of ours

LOCKS_OF_PAUSED = [
    text(f"""
        SELECT a.id FROM {joined} WHERE a.id = ANY(CAST(:agent_ids AS uuid[])) AND {paused}.is_paused
        FOR SHARE OF {paused} SKIP LOCKED
    """)  # noqa: S608  # names of ours
    for joined, paused in (
        ("agents a", "a"),
        ("agents a JOIN tenants n ON n.id = a.tenant_id", "n"),
        ("agents a CROSS JOIN service_pause s", "s"),
    )
]
"""Each locks one kind of row that can pause agents, and returns the paused agents."""

READ_ACTIVE = text(f"""
    SELECT id, agent_id FROM invocations WHERE agent_id = ANY(CAST(:agent_ids AS uuid[])) AND {IS_ACTIVE}
""")  # noqa: S608  # our own constant

LOCK_ACTIVE = text(f"""
    SELECT agent_id FROM invocations WHERE id = ANY(CAST(:ids AS uuid[])) AND {IS_ACTIVE} FOR UPDATE SKIP LOCKED
""")  # noqa: S608  # our own constant

HOLD = text("UPDATE invocations SET due_at = NULL, held_reason = :reason WHERE id = ANY(CAST(:ids AS uuid[]))")

_HELD_FOR = f"{_IS_OPEN} AND due_at IS NULL AND held_reason = ANY(CAST(:reasons AS text[]))"
RELEASE = text(freeing(f"agent_id = ANY(CAST(:agent_ids AS uuid[])) AND {_HELD_FOR}"))

# The batch moves out, not the rest, so that a backlog of thousands is not rewritten for each hundred that leave.
SPLIT = text("""
    WITH leaving AS (
        SELECT v.window_id, v.id AS batch_id, oldest.id
        FROM unnest(CAST(:window_ids AS uuid[]), CAST(:ids AS uuid[]), CAST(:max_batches AS int[]))
            AS v(window_id, id, max_batch)
        CROSS JOIN LATERAL (
            SELECT f.id FROM firings f WHERE f.invocation_id = v.window_id ORDER BY f.id LIMIT v.max_batch
        ) AS oldest
    ), carried AS (
        UPDATE firings f SET invocation_id = leaving.batch_id FROM leaving WHERE f.id = leaving.id
    ), batches AS (
        SELECT window_id, batch_id, array_agg(id ORDER BY id) AS firing_ids FROM leaving GROUP BY window_id, batch_id
    ), remaining AS (
        UPDATE invocations i
        SET firing_count = i.firing_count - cardinality(b.firing_ids), opened_at = clock_timestamp(),
            due_at = clock_timestamp()
        FROM batches b JOIN invocations o ON o.id = b.window_id WHERE i.id = b.window_id
        RETURNING b.batch_id, i.tenant_id, i.agent_id, o.opened_at, b.firing_ids
    )
    INSERT INTO invocations (id, tenant_id, agent_id, state, opened_at, ready_at, firing_count, firing_ids)
    SELECT batch_id, tenant_id, agent_id, 'ready', opened_at, clock_timestamp(), cardinality(firing_ids), firing_ids
    FROM remaining RETURNING id, tenant_id, agent_id, attempt, firing_ids
""")


@dataclass(frozen=True, slots=True)
class CloseResult:
    """What one pass did with the due rows it could lock."""

    ready: list[UUID] = field(default_factory=list)
    """Invocations that a worker may run now: closed windows, and retries whose wait is over."""
    held: int = 0
    """Windows without a due time until an end, a resume, or a freed limit gives one back."""
    left: int = 0
    """Rows left due because a lock was not available: look again in 20 to 50 ms."""
    skipped: int = 0
    """Windows of deleted or expired agents; their firings are kept for a replay."""
    widened: int = 0
    """Windows that stay open longer because a budget is nearly spent."""


class _Agent(NamedTuple):
    """An agent with what decides on its windows; `gone`: why it can no longer run."""

    id: UUID
    is_paused: bool
    max_batch: int
    gone: str | None
    has_budget: bool


@dataclass(slots=True)
class _Plan:
    """The decision for each row, by invocation id."""

    windows: dict[UUID, int]
    """To close: id to the number of firings that may leave at once."""
    retries: list[UUID]
    held: dict[HeldReason, list[UUID]]
    skipped: dict[str, list[UUID]]
    limited: list[DueWindow] = field(default_factory=list)
    """Those of `windows` whose agents have budgets, which decide next."""
    left: int = 0


def claim_due_windows(conn: Connection, limit: int, *, leaves_few: bool = False) -> Sequence[DueWindow]:
    """Locks up to `limit` due windows and retries, longest due first, in fair shares if more are due.

    First makes due what was postponed until now: windows held for a budget, and deferred firings. With
    `leaves_few`, what the express lane takes is left to it.
    """
    free_due_windows(conn)
    waiting = ask_waiting(conn, DUE, limit)
    return_deferred(conn, limit)
    shares = shares_of(dict(waiting.all()), limit, leaves_few=leaves_few)
    if shares is not None:
        return claim_windows_of(conn, shares)
    return rows_as(DueWindow, send_along(conn, CLAIM_DUE, limit=limit))


def claim_windows_of(conn: Connection, shares: Mapping[UUID, int]) -> Sequence[DueWindow]:
    """Locks the given number of due windows and retries of each tenant, longest due first, for `close_windows`."""
    return rows_as(DueWindow, conn.execute(CLAIM_SHARES, share_parameters(shares)))


def close_windows(conn: Connection, due: Sequence[DueWindow]) -> CloseResult:
    """Closes the claimed windows and starts the claimed retries, in the transaction that locked them."""
    if not due:
        return CloseResult()
    plan = _decide(conn, due)
    judged = _judge(conn, plan)
    for reason, ids in plan.held.items():
        conn.execute(HOLD, {"ids": uuid_array(ids), "reason": reason})
    for why, ids in plan.skipped.items():
        move(conn, ids, InvocationState.COLLECTING, InvocationState.SKIPPED, reason=why)
    notify_of_failures(conn, {each: why for why, ids in plan.skipped.items() for each in ids})
    ready = [
        *_close(conn, plan.windows, {row.id: row.firing_count for row in due}),
        *move(conn, plan.retries, InvocationState.RETRYING, InvocationState.READY),
    ]
    defer_runs(conn, [(each.tenant_id, each.id, each.attempt + 1) for each in ready])
    return CloseResult(
        [each.id for each in ready],
        sum(map(len, plan.held.values())) + len(judged.held),
        plan.left + judged.left,
        sum(map(len, plan.skipped.values())),
        len(judged.widened),
    )


def ask_next_due(conn: Connection) -> Answer:
    """Asks for the seconds until the next window closes or retry starts; None when all are held."""
    return send_along(conn, NEXT_DUE)


def release_window(conn: Connection, agent_id: UUID, reasons: Collection[HeldReason]) -> bool:
    """Makes an agent's windows held for one of `reasons` due now; returns whether there were any.

    Call it after the statement that ended the reason (e.g. `is_paused = false`), in the same transaction.
    """
    return release_windows(conn, [agent_id], reasons) > 0


def release_windows(conn: Connection, agent_ids: Sequence[UUID], reasons: Collection[HeldReason]) -> int:
    """Releases the windows of several agents as `release_window` does; returns how many."""
    values = {"agent_ids": uuid_array(agent_ids), "reasons": [*map(str, reasons)]}
    released = conn.execute(RELEASE, values).rowcount
    if released:
        notify(conn)
    return released


def _decide(conn: Connection, due: Sequence[DueWindow]) -> _Plan:
    agent_ids = uuid_array({row.agent_id for row in due})
    theirs = send_along(conn, READ_AGENTS, agent_ids=agent_ids)
    active: dict[UUID, UUID] = dict(send_along(conn, READ_ACTIVE, agent_ids=agent_ids).all())
    agents = {agent.id: agent for agent in rows_as(_Agent, theirs)}
    paused = {each for each, agent in agents.items() if agent.is_paused and not agent.gone}
    busy = set(active.values())
    surely_paused = set().union(*(_agents_of(conn, lock, agent_ids=paused) for lock in LOCKS_OF_PAUSED))
    surely_busy = _agents_of(conn, LOCK_ACTIVE, ids=active)
    plan = _Plan({}, [], defaultdict(list), defaultdict(list))
    for row in due:
        agent = agents.get(row.agent_id)
        is_window = row.state == InvocationState.COLLECTING
        gone, max_batch = (agent.gone, agent.max_batch) if agent else ("agent_deleted", 0)
        if is_window and (gone or not row.firing_count):
            plan.skipped[gone or "empty"].append(row.id)
        elif row.agent_id in paused:
            _hold(plan, row, HeldReason.PAUSED, surely=surely_paused)
        elif is_window and row.agent_id in busy:
            _hold(plan, row, HeldReason.BUSY, surely=surely_busy)
        elif is_window:
            plan.windows[row.id] = max_batch
            if agent and agent.has_budget:
                plan.limited.append(row)
        else:
            plan.retries.append(row.id)  # for deleted agents too: the dispatcher ends it, which frees its window
    return plan


def _judge(conn: Connection, plan: _Plan) -> BudgetDecisions:
    """Lets budgets decide: of the windows they concern, only those that may close stay in the plan."""
    if not plan.limited:
        return BudgetDecisions()
    full = {row.id for row in plan.limited if row.firing_count >= plan.windows[row.id]}
    judged = judge(conn, plan.limited, full)
    for row in plan.limited:
        if row.id not in judged.close:
            del plan.windows[row.id]
    return judged


def _agents_of(conn: Connection, lock: Any, **ids: Collection[UUID]) -> set[UUID]:
    """Returns the agents among the given ids whose rows `lock` got."""
    if not any(ids.values()):
        return set()
    return set(conn.execute(lock, {name: uuid_array(each) for name, each in ids.items()}).scalars())


def _hold(plan: _Plan, row: DueWindow, reason: HeldReason, *, surely: Collection[UUID]) -> None:
    if row.agent_id in surely:
        plan.held[reason].append(row.id)
    else:
        plan.left += 1


def _close(conn: Connection, windows: dict[UUID, int], counts: dict[UUID, int]) -> list[Transition]:
    """Makes windows ready. From a window with too many firings, the oldest move out; it stays open, due now."""
    over_full = {each: limit for each, limit in windows.items() if counts[each] > limit}
    whole = [each for each in windows if each not in over_full]
    return [*move(conn, whole, InvocationState.COLLECTING, InvocationState.READY), *_split(conn, over_full)]


def _split(conn: Connection, over_full: dict[UUID, int]) -> list[Transition]:
    """Moves the oldest firings of each window, as many as may leave, to a ready invocation of their own."""
    if not over_full:
        return []
    check_move(InvocationState.COLLECTING, InvocationState.READY)
    batches = conn.execute(
        SPLIT,
        {
            "window_ids": list(over_full),
            "ids": [new_id() for _ in over_full],
            "max_batches": list(over_full.values()),
        },
    )
    return rows_as(Transition, batches)
