"""The state machine of invocations: every change of state uses `move`. docs/state-machine.md shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Connection,
    Float,
    Integer,
    Text,
    TextClause,
    Uuid,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.orm import InstrumentedAttribute

from scheduler.domain.errors import Conflict
from scheduler.domain.model import ACTIVE_STATES, FINAL_STATES, MOVES, FiringState, InvocationState
from scheduler.metrics import FIRINGS, INVOCATIONS, RETRIES, add, later, tally_by
from scheduler.queue.tasks import defer_cancels
from scheduler.storage.arrays import Uuids, uuid_array
from scheduler.storage.audit import SYSTEM, Event, record_events
from scheduler.storage.engine import notify
from scheduler.storage.live import Change, notify_watchers
from scheduler.storage.remote_tasks import find_cancellable
from scheduler.storage.rows import as_json, rows_as
from scheduler.storage.tables.core import Firing, Invocation

NOW = func.clock_timestamp()

FIRING_STATES = {
    InvocationState.SUCCEEDED: FiringState.DELIVERED,
    InvocationState.DEAD: FiringState.DEAD,
    InvocationState.SKIPPED: FiringState.SKIPPED,
    InvocationState.CANCELLED: FiringState.CANCELLED,
}
"""The state of an invocation's firings after its end."""

_AUDITED = FINAL_STATES | {InvocationState.RETRYING}

_CLEARED: dict[InvocationState, dict[str, Any]] = {
    # A retry is ready again, but its window closed before the first attempt.
    InvocationState.READY: {"ready_at": func.coalesce(Invocation.ready_at, NOW), "due_at": None, "reason": None},
    InvocationState.RUNNING: {"started_at": NOW},
    InvocationState.RETRYING: {"worker": None, "deadline_at": None},
}
_ENDED = {
    "finished_at": NOW,
    "due_at": None,
    "held_reason": None,
    "deadline_at": None,
}

_FIRING_IDS = (
    select(func.array_agg(aggregate_order_by(Firing.id, Firing.id)))
    .where(Firing.invocation_id == Invocation.id)
    .scalar_subquery()
)


def freeing(which: str, *, skip_locked: bool = False) -> TextClause:
    """The statement that makes the windows due now for which the SQL `which` holds.

    It locks them in the order of their agents, as everything does that writes several; `skip_locked` leaves those
    that somebody else holds.
    """
    return text(f"""
        WITH held AS (
            SELECT id FROM invocations WHERE {which} ORDER BY agent_id FOR UPDATE{" SKIP LOCKED" if skip_locked else ""}
        )
        UPDATE invocations i SET due_at = clock_timestamp(), held_reason = NULL, held_until = NULL, held_note = NULL
        FROM held WHERE i.id = held.id
    """)  # noqa: S608  # conditions of ours


_RELEASE_BUSY = freeing("""
    agent_id = ANY(CAST(:agent_ids AS uuid[])) AND state = 'collecting' AND held_reason = 'busy'
""")

EACH = (
    func.json_to_recordset(cast(bindparam("each", type_=Text()), JSON))
    .table_valued(
        column("id", Uuid()),
        column("attempt", Integer()),
        column("token_hash", Text()),
        column("tries", JSONB()),
        column("reason", Text()),
        column("reply", Text()),
        column("reply_truncated", Boolean()),
        column("delay", Float()),
    )
    .render_derived("v", with_types=True)
)
"""The rows of `move_each`, with the values for these columns."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of an invocation's state that was just made."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    attempt: int
    firing_ids: list[UUID] | None
    context: str | None = None
    waited: timedelta | None = None
    """Since it was ready, if it was."""


def check_move(source: InvocationState, target: InvocationState) -> None:
    """Raises Conflict unless an invocation may go from `source` to `target`."""
    if target not in MOVES[source]:
        raise Conflict(f"The invocation is {source}: it cannot become {target}.")


def move(
    conn: Connection,
    ids: Collection[UUID],
    source: InvocationState,
    target: InvocationState,
    *,
    fence: int | None = None,
    actor: str = SYSTEM,
    detail: dict[str, Any] | None = None,
    **values: object,
) -> list[Transition]:
    """Moves those of `ids` that are in `source` (and at attempt `fence`) to `target`; returns those moved.

    Applies the side effects too: a window that is left stores its firings' ids; at an end the firings are marked
    and the agent is free for its next window; ends and retries are audited, with `detail`. `values` are further
    columns. Raises Conflict when the transition is not allowed.
    """
    if not ids:
        check_move(source, target)
        return []
    reason = {"reason": values["reason"]} if "reason" in values else {}
    which = [_is_any(Invocation.id, ids)]
    if fence is not None:
        which.append(Invocation.attempt == fence)
    moved = _update(conn, which, {}, source, target, values)
    _follow(conn, moved, target, actor, {each.id: reason | (detail or {}) for each in moved})
    if source in ACTIVE_STATES and target in FINAL_STATES:
        free_agents(conn, moved)
    return moved


def move_each(
    conn: Connection,
    rows: Sequence[dict[str, Any]],
    source: InvocationState,
    target: InvocationState,
    *,
    actor: str = SYSTEM,
    details: Mapping[UUID, dict[str, Any]] | None = None,
    **values: object,
) -> list[Transition]:
    """Like `move`, with separate values for each invocation, also in one statement.

    Each of `rows` has an `id`, the `attempt` as its fence, and what the EACH `values` refer to. Agents whose
    invocations ended are to be freed by the caller, all at once.
    """
    if not rows:
        check_move(source, target)
        return []
    which = [Invocation.id == EACH.c.id, Invocation.attempt == EACH.c.attempt]
    moved = _update(conn, which, {"each": as_json(rows)}, source, target, values)
    _follow(conn, moved, target, actor, details or {})
    return moved


def _update(
    conn: Connection,
    which: Sequence[ColumnElement[bool]],
    parameters: dict[str, str],
    source: InvocationState,
    target: InvocationState,
    values: Mapping[str, object],
) -> list[Transition]:
    check_move(source, target)
    standard = dict(_ENDED if target in FINAL_STATES else _CLEARED.get(target, {}))
    if source is InvocationState.COLLECTING:
        standard |= {"firing_ids": _FIRING_IDS, "held_reason": None, "held_until": None, "held_note": None}
    statement = (
        update(Invocation)
        .where(*which, Invocation.state == source)
        .values(**{"state": target} | standard | dict(values))
        .returning(
            Invocation.id,
            Invocation.tenant_id,
            Invocation.agent_id,
            Invocation.attempt,
            Invocation.firing_ids,
            Invocation.context,
            (NOW - Invocation.ready_at).label("waited"),
        )
    )
    return rows_as(Transition, conn.execute(statement, parameters))


def _follow(
    conn: Connection,
    moved: Sequence[Transition],
    target: InvocationState,
    actor: str,
    details: Mapping[UUID, dict[str, Any]],
) -> None:
    """Applies the side effects of a transition."""
    if moved and target in FINAL_STATES:
        _mark_firings(conn, moved, target)
        later(conn, add(INVOCATIONS, len(moved), target.value))
    if moved and target is InvocationState.RETRYING:
        later(conn, add(RETRIES, len(moved)))
    if moved and target is InvocationState.CANCELLED:
        defer_cancels(conn, find_cancellable(conn, [each.id for each in moved]))
    if target in _AUDITED:
        _audit(conn, moved, target, actor, details)
    notify_watchers(conn, [Change(each.tenant_id, "invocation", each.id) for each in moved])


def _is_any(column: InstrumentedAttribute[UUID], ids: Collection[UUID]) -> ColumnElement[bool]:
    return column == any_(bindparam(None, list(ids), Uuids()))


def _mark_firings(conn: Connection, moved: Collection[Transition], target: InvocationState) -> None:
    state = FIRING_STATES[target]
    kinds = conn.scalars(
        update(Firing)
        .where(_is_any(Firing.invocation_id, [each.id for each in moved]))
        .values(state=state)
        .returning(Firing.trigger_type)
    )
    counts = Counter(kinds.all())
    later(conn, tally_by(FIRINGS, [((kind, state.value), number) for kind, number in counts.items()]))


def free_agents(conn: Connection, moved: Collection[Transition]) -> None:
    """Lets the windows that waited for these ends close.

    Last, and in a separate statement: whoever held a window had locked the active row, so its hold is committed
    and visible by the time that row could be updated here. All of a transaction at once, since windows are locked
    in the order of their agents.
    """
    if not moved:
        return
    released = conn.execute(_RELEASE_BUSY, {"agent_ids": uuid_array(each.agent_id for each in moved)})
    if released.rowcount:
        notify(conn)


def _audit(
    conn: Connection,
    moved: Collection[Transition],
    target: InvocationState,
    actor: str,
    details: Mapping[UUID, dict[str, Any]],
) -> None:
    action = f"invocation.{target}"
    record_events(
        conn,
        [
            Event(
                action,
                each.tenant_id,
                each.id,
                each.agent_id,
                actor,
                {"attempt": each.attempt} | details.get(each.id, {}),
            )
            for each in moved
        ],
    )
