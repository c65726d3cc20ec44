"""Finds the invocations that carry firings of one trigger."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Connection, Uuid, and_, any_, bindparam, false, or_, select

from scheduler.storage.tables import Firing, Invocation, Trigger

FEW = 5_000
"""Up to this many firings of a trigger, its invocations are found through them; those of a frequent trigger are
met soon anyway.
"""


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
