"""Finds rows through the indexes of their triggers: the newest of an agent, and the invocations that carry a trigger's.

Firings and deliveries have no index by agent, because they are written too often. The rows of an agent that is seldom
woken are found by its triggers, without reading what others recorded since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Select,
    Uuid,
    and_,
    any_,
    bindparam,
    false,
    func,
    or_,
    select,
    true,
)

from scheduler.storage.tables.core import Firing, Invocation, Trigger

MOST_TRIGGERS = 1000
"""The rows of an agent with more triggers, deleted ones included, are not read by its triggers."""
FEW = 5_000
"""Up to this many firings of a trigger, its invocations are found through them; those of a frequent trigger are
met soon anyway.
"""


def triggers_of(conn: Connection, agent_id: UUID | None, trigger_id: UUID | None) -> Sequence[UUID] | None:
    """Returns the triggers whose rows are wanted, or None for any; no trigger has rows of another agent."""
    if agent_id is None:
        return None if trigger_id is None else [trigger_id]
    query = select(Trigger.id).where(Trigger.agent_id == agent_id)
    if trigger_id is not None:
        query = query.where(Trigger.id == trigger_id)
    found = conn.scalars(query.limit(MOST_TRIGGERS + 1)).all()
    return found if len(found) <= MOST_TRIGGERS else None


def newest_of(
    rows: Select[Any], triggers: Sequence[UUID] | None, trigger: Any, order: Sequence[Any], limit: int
) -> Select[Any]:
    """Selects the newest `limit` of `rows` by the columns `order`: of these triggers or, for None, of any."""
    if triggers is not None and len(triggers) == 1:
        rows, triggers = rows.where(trigger == triggers[0]), None
    newest_first = [each.desc() for each in order]
    if triggers is None:
        return rows.order_by(*newest_first).limit(limit)
    given = bindparam(None, list(triggers), ARRAY(Uuid()))
    each = func.unnest(given).table_valued("id", name="each_trigger").render_derived()
    of_each = (
        rows.where(trigger == each.c.id).order_by(*newest_first).limit(limit).correlate(each).lateral("newest")
    )
    merged = [of_each.c[column.key].desc() for column in order]
    return select(of_each).select_from(each.join(of_each, true())).order_by(*merged).limit(limit)


def carries(conn: Connection, trigger_id: UUID, agent_id: UUID | None = None) -> ColumnElement[bool]:
    """Selects the invocations that carry a firing of a trigger, including firings that a replay has moved.

    With `agent_id`, none if the trigger is another agent's.
    """
    owner = conn.scalar(select(Trigger.agent_id).where(Trigger.id == trigger_id))
    if owner is None or agent_id not in (None, owner):
        return false()
    fired = select(Firing.id).where(Firing.trigger_id == trigger_id).correlate(Invocation)
    has_moved = and_(
        Invocation.agent_id == owner,
        Invocation.replayed_into.is_not(None),
        fired.where(Firing.id == any_(Invocation.firing_ids)).exists(),
    )
    few = select(Firing.invocation_id).where(Firing.trigger_id == trigger_id).limit(FEW + 1)
    found = conn.scalars(few).all()
    if len(found) > FEW:
        # One lookup per invocation; with EXISTS, all firings of the trigger would be hashed first.
        holds = fired.where(Firing.invocation_id == Invocation.id).limit(1).scalar_subquery().is_not(None)
        return and_(Invocation.agent_id == owner, or_(holds, has_moved))
    ids = {*found, *conn.scalars(select(Invocation.id).where(has_moved))}
    return Invocation.id == any_(bindparam(None, list(ids), ARRAY(Uuid())))
