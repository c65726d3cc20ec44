"""Limits how many triggers an agent may have, and of which kinds."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select

from scheduler.domain.errors import Conflict, InvalidField
from scheduler.manage.agent_trigger_limits import AWAITING
from scheduler.manage.stored_triggers import AgentLimits
from scheduler.storage.tables import Trigger
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.registry import OFFERED

MOST_KEPT = 1_000
"""How many triggers, ended and paused ones included, an agent may create itself; twice max_triggers if that is
more.
"""

_COUNTS = Trigger.is_enabled | (Trigger.approval == AWAITING)
COUNT_TRIGGERS = select(func.count().filter(_COUNTS).label("enabled"), func.count().label("kept")).where(
    Trigger.agent_id == bindparam("agent_id"), Trigger.deleted_at.is_(None), Trigger.is_system.is_(False)
)


class Room:
    """How many more triggers a locked agent may have. Counted once, then decremented."""

    def __init__(self, conn: Connection, agent: AgentLimits) -> None:
        self._conn = conn
        self._agent = agent
        self._counts: tuple[int, int] | None = None

    def take(self, *, by_agent: bool = False) -> None:
        """Counts one more. Raises Conflict when the most enabled or awaiting triggers exist already.

        Ended and paused triggers do not count, but an agent cannot create those without limit either.
        """
        if self._counts is None:
            row = self._conn.execute(COUNT_TRIGGERS, {"agent_id": self._agent.agent_id}).one()
            self._counts = (row.enabled, row.kept)
        enabled, kept = self._counts
        if enabled >= self._agent.max_triggers:
            raise Conflict(
                f"The agent has {enabled} triggers that are enabled or await approval, which is its max_triggers; "
                "pause or delete one, or raise max_triggers.",
                field="max_triggers",
            )
        if by_agent and kept >= max(MOST_KEPT, 2 * self._agent.max_triggers):
            raise Conflict(
                f"The agent has {kept} triggers, including ended and paused ones; delete some.",
                field="max_triggers",
            )
        self._counts = (enabled + 1, kept + 1)


def check_limit(conn: Connection, agent: AgentLimits) -> None:
    """Raises Conflict for an enabled or awaiting trigger beyond the limit of the agent, which is locked."""
    Room(conn, agent).take()


def check_may_add(kind: type[TriggerConfig]) -> None:
    """Raises InvalidField for a new trigger of a kind reserved to the system."""
    if not kind.is_offered:
        offered = ", ".join(OFFERED)
        raise InvalidField(f"Only the system creates triggers of type {kind.kind}; use {offered}.", field="type")
