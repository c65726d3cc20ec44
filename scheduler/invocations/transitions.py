"""The state machine of invocations: every change of state uses `move`. docs/state-machine.md shows it."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    ClauseElement,
    ColumnElement,
    Connection,
    Float,
    Integer,
    Text,
    Update,
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

from scheduler.domain.errors import Conflict
from scheduler.domain.model import ACTIVE_STATES, FINAL_STATES, MOVES, FiringState, InvocationState
from scheduler.metrics import FIRINGS, INVOCATIONS, RETRIES, add, later, tally_by
from scheduler.queue.tasks import defer_cancels
from scheduler.storage.arrays import Uuids, uuid_array
from scheduler.storage.audit import SYSTEM, Event, record_events
from scheduler.storage.live import Change, notify_watchers
from scheduler.storage.pipelines import send_along
from scheduler.storage.remote_tasks import find_cancellable
from scheduler.storage.rows import as_json, rows_as
from scheduler.storage.tables.base import CHANNEL
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
_ENDED = {"finished_at": NOW, **dict.fromkeys(("due_at", "held_reason", "deadline_at"))}

_FIRING_IDS = (
    select(func.array_agg(aggregate_order_by(Firing.id, Firing.id)))
    .where(Firing.invocation_id == Invocation.id)
    .scalar_subquery()
)


def freeing(which: str, *, skip_locked: bool = False) -> str:
    """The SQL that makes the windows due now for which the SQL `which` holds.

    It locks them in the order of their agents, as everything does that writes several; `skip_locked` leaves those
    that somebody else holds.
    """
    return f"""
        WITH held AS (
            SELECT id FROM invocations WHERE {which} ORDER BY agent_id FOR UPDATE{" SKIP LOCKED" if skip_locked else ""}
        )
        UPDATE invocations i SET due_at = clock_timestamp(), held_reason = NULL, held_until = NULL, held_note = NULL
        FROM held WHERE i.id = held.id
    """  # noqa: S608  # conditions of ours


_HELD_FOR_THEM = "agent_id = ANY(CAST(:agent_ids AS uuid[])) AND state = 'collecting' AND held_reason = 'busy'"
_RELEASE_BUSY = text(f"""
    WITH freed AS ({freeing(_HELD_FOR_THEM)} RETURNING i.id) SELECT pg_notify('{CHANNEL}', '') FROM freed LIMIT 1
""")  # noqa: S608  # conditions of ours
_MARK_FIRINGS = text("""
    UPDATE firings SET state = :state WHERE invocation_id = ANY(CAST(:ids AS uuid[])) RETURNING trigger_type
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

_BY_IDS = (Invocation.id == any_(bindparam("ids", type_=Uuids())),)
_BY_IDS_AND_FENCE = (*_BY_IDS, Invocation.attempt == bindparam("fence", type_=Integer()))
_BY_EACH = (Invocation.id == EACH.c.id, Invocation.attempt == EACH.c.attempt)


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
    which = _BY_IDS if fence is None else _BY_IDS_AND_FENCE
    moved = _update(conn, which, {"ids": ids, "fence": fence}, source, target, values)
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
    moved = _update(conn, _BY_EACH, {"each": as_json(rows)}, source, target, values)
    _follow(conn, moved, target, actor, details or {})
    return moved


def _update(
    conn: Connection,
    which: tuple[ColumnElement[bool], ...],
    parameters: Mapping[str, object],
    source: InvocationState,
    target: InvocationState,
    values: Mapping[str, object],
) -> list[Transition]:
    check_move(source, target)
    of_columns = {name: value if isinstance(value, ClauseElement) else None for name, value in values.items()}
    statement = _statement(which, source, target, tuple(of_columns.items()))
    plain = {f"new_{name}": values[name] for name, expression in of_columns.items() if expression is None}
    return rows_as(Transition, send_along(conn, statement, **parameters, **plain))


@functools.lru_cache(100)
def _statement(
    which: tuple[ColumnElement[bool], ...],
    source: InvocationState,
    target: InvocationState,
    of_columns: tuple[tuple[str, ClauseElement | None], ...],
) -> Update:
    """Builds the update of a transition, once, as that takes longer than its execution.

    `of_columns`: further columns with their SQL, or with None for a value: the parameter `new_COLUMN`.
    """
    columns = Invocation.__table__.c
    values = {
        name: bindparam(f"new_{name}", type_=columns[name].type) if expression is None else expression
        for name, expression in of_columns
    }
    standard = dict(_ENDED if target in FINAL_STATES else _CLEARED.get(target, {}))
    if source is InvocationState.COLLECTING:
        standard |= {"firing_ids": _FIRING_IDS, "held_reason": None, "held_until": None, "held_note": None}
    return (
        update(Invocation)
        .where(*which, Invocation.state == source)
        .values(**{"state": target} | standard | values)
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


def _mark_firings(conn: Connection, moved: Collection[Transition], target: InvocationState) -> None:
    state = FIRING_STATES[target]
    marked = send_along(conn, _MARK_FIRINGS, ids=uuid_array(each.id for each in moved), state=state.value)
    later(conn, lambda: tally_by(FIRINGS, Counter((kind, state.value) for (kind,) in marked.all()).items())())


def free_agents(conn: Connection, moved: Collection[Transition]) -> None:
    """Lets the windows that waited for these ends close.

    Last, and in a separate statement: whoever held a window had locked the active row, so its hold is committed
    and visible by the time that row could be updated here. All of a transaction at once, since windows are locked
    in the order of their agents.
    """
    if not moved:
        return
    send_along(conn, _RELEASE_BUSY, agent_ids=uuid_array(each.agent_id for each in moved))


def _audit(
    conn: Connection,
    moved: Collection[Transition],
    target: InvocationState,
    actor: str,
    details: Mapping[UUID, dict[str, Any]],
) -> None:
    said = {each.id: {"attempt": each.attempt} | details.get(each.id, {}) for each in moved}
    action = f"invocation.{target}"
    record_events(
        conn, [Event(action, each.tenant_id, each.id, each.agent_id, actor, said[each.id]) for each in moved]
    )
