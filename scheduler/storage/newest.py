"""Reads the newest rows of agents through the indexes of their triggers.

Firings and deliveries have no index by agent, because they are written too often. The rows of an agent that is seldom
woken are found by its triggers, without reading what others recorded since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Select, Uuid, bindparam, func, select, true

from scheduler.storage.tables import Trigger

MOST_TRIGGERS = 1000
"""The rows of an agent with more triggers, deleted ones included, are not read by its triggers."""


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
