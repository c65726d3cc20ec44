"""Limits how many triggers an agent has, and those that it makes itself: they expire, and they fire slowly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, any_, bindparam, func, select

from scheduler.domain.errors import Conflict, InvalidField
from scheduler.domain.schedule import Schedule
from scheduler.domain.text import counted
from scheduler.intake.wakes.statements import lineage_of_run
from scheduler.manage.agents.rights import agent_actor, check_may_grant
from scheduler.manage.triggers.spec import MOST_OWN_FIRES, AgentLimits, TriggerSpec, TriggerWithLimits
from scheduler.storage.tables.core import Trigger
from scheduler.triggers.base import TriggerConfig, faults_of
from scheduler.triggers.registry import OFFERED, kind_of

DEFAULT_LIFE = timedelta(days=7)
"""The default lifetime of a trigger created by an agent; if its first slot is later, it expires a day after that."""
LONGEST_LIFE = timedelta(days=90)
AFTER_FIRST_SLOT = timedelta(days=1)
SHORTEST_STEP = timedelta(seconds=60)
"""The minimum time between two of its slots."""
SLOTS_LOOKED_AT = 20
AWAITING, APPROVED, REJECTED = "awaiting", "approved", "rejected"
AWAITING_NOTE = "awaiting approval"
MOST_KEPT = 1_000
"""How many triggers, ended and paused ones included, an agent may create itself; twice max_triggers if that is
more.
"""

_COUNTS = Trigger.is_enabled | (Trigger.approval == AWAITING)
COUNT_TRIGGERS = (
    select(Trigger.agent_id, func.count().filter(_COUNTS).label("enabled"), func.count().label("kept"))
    .where(Trigger.agent_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .where(Trigger.deleted_at.is_(None), Trigger.is_system.is_(False))
    .group_by(Trigger.agent_id)
)


def bounded(
    spec: TriggerSpec, first: datetime | None, now: datetime, fields: Collection[str] | None = None
) -> TriggerSpec:
    """Returns `spec` within an agent's limits, with defaults in place of null. `fields`: checks only these.

    `first` is the trigger's next slot. Raises InvalidField.
    """
    start = max(first or now, now)
    if fields is None or "max_fires" in fields:
        spec = replace(spec, max_fires=_fires(spec.max_fires))
    if fields is None or "expires_at" in fields:
        spec = replace(spec, expires_at=_expiry(spec.expires_at, start, now))
    return spec


def check_pace(config: TriggerConfig, zone: str, trigger_id: UUID, now: datetime) -> None:
    """Raises InvalidField for a schedule that fires more often than an agent may request.

    Kinds that only check at their slots have their own minimum.
    """
    with faults_of(config.kind):
        _check_pace(None if config.checked_by else config.schedule(zone, now, trigger_id), now)


def _check_pace(schedule: Schedule | None, now: datetime) -> None:
    before: datetime | None = None
    moment: datetime | None = now
    for _ in range(SLOTS_LOOKED_AT if schedule is not None else 0):
        moment = schedule.next_after(moment) if schedule is not None and moment is not None else None
        if moment is None:
            return
        if before is not None and moment - before < SHORTEST_STEP:
            raise InvalidField(
                f"The trigger would fire twice within {(moment - before).total_seconds():g} s; a trigger "
                f"created by an agent may fire at most once in {SHORTEST_STEP.seconds} s.",
                field="config",
            )
        before = moment


def check_changeable(kind: type[TriggerConfig]) -> None:
    """Raises Conflict for a trigger that is created by an agent's action, such as a wait: it cannot be changed."""
    if not kind.is_offered:
        raise Conflict(
            f"A trigger of type {kind.kind} cannot be changed; cancel it and create a new one.", field="type"
        )


def check_approved(approval: str | None) -> None:
    """Raises Conflict when the trigger has not been approved."""
    if approval == AWAITING:
        raise Conflict(
            "The trigger awaits a person's approval and cannot be enabled before. A person approves it with "
            "POST /triggers/{id}/approve.",
            field="approval",
        )
    if approval == REJECTED:
        raise Conflict(
            "A person rejected this trigger; its paused_note says why. Change it to ask again, or delete it.",
            field="approval",
        )


def own_columns(conn: Connection, agent_id: UUID, spec: TriggerSpec) -> dict[str, Any]:
    """Returns the columns of a trigger that its agent creates itself; in a run, it gets the run's place in the
    chain.

    Raises Forbidden when the agent would give itself a right.
    """
    check_may_grant(managed_by_agent=spec.managed_by_agent)
    run = lineage_of_run(conn, agent_id)
    return {
        "created_by": agent_actor(agent_id),
        "root_id": run.root_id,
        "depth": run.depth,
        "is_paced": kind_of(spec.type).keeps_pace,
    }


def changed_columns(conn: Connection, row: TriggerWithLimits, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the columns that a change by the agent itself adds: the deeper place in a chain counts."""
    check_may_grant(managed_by_agent=patch.get("managed_by_agent", row.managed_by_agent) != row.managed_by_agent)
    run = lineage_of_run(conn, row.agent_id)
    return {"root_id": run.root_id, "depth": run.depth} if run.depth > row.depth else {}


def _fires(asked: int | None) -> int:
    if asked is None:
        return MOST_OWN_FIRES
    if asked > MOST_OWN_FIRES:
        raise InvalidField(
            f"max_fires {asked} is too many: a trigger created by an agent fires at most {MOST_OWN_FIRES} times; "
            "give a smaller number and renew the trigger when it ends.",
            field="max_fires",
        )
    return asked


def _expiry(asked: datetime | None, start: datetime, now: datetime) -> datetime:
    latest = start + LONGEST_LIFE
    if asked is None:
        return max(now + DEFAULT_LIFE, start + AFTER_FIRST_SLOT)
    if asked > latest:
        raise InvalidField(
            f"expires_at {asked.isoformat()} is too late: a trigger created by an agent expires at most "
            f"{LONGEST_LIFE.days} days after its first slot, here {latest.isoformat(timespec='seconds')}.",
            field="expires_at",
        )
    return asked


class TriggerAllowance:
    """How many more triggers a locked agent may have."""

    def __init__(self, agent: AgentLimits, enabled: int, kept: int) -> None:
        """`enabled` are those enabled or awaiting approval, `kept` all that are not deleted."""
        self._agent = agent
        self._counts = (enabled, kept)

    def take(self, *, by_agent: bool = False) -> None:
        """Counts one more. Raises Conflict when the most enabled or awaiting triggers exist already.

        Ended and paused triggers do not count, but an agent cannot create those without limit either.
        """
        enabled, kept = self._counts
        if enabled >= self._agent.max_triggers:
            raise Conflict(
                f"The agent has {counted(enabled, 'trigger')} enabled or awaiting approval, which is its max_triggers; "
                "pause or delete one, or raise max_triggers.",
                field="max_triggers",
            )
        if by_agent and kept >= max(MOST_KEPT, 2 * self._agent.max_triggers):
            raise Conflict(
                f"The agent has {kept} triggers, including ended and paused ones; delete some.",
                field="max_triggers",
            )
        self._counts = (enabled + 1, kept + 1)


def allowances(conn: Connection, agents: Mapping[UUID, AgentLimits]) -> dict[UUID, TriggerAllowance]:
    """Returns the allowances of locked agents, by id."""
    counts = {row.agent_id: (row.enabled, row.kept) for row in conn.execute(COUNT_TRIGGERS, {"ids": list(agents)})}
    return {id_: TriggerAllowance(agent, *counts.get(id_, (0, 0))) for id_, agent in agents.items()}


def check_limit(conn: Connection, agent: AgentLimits) -> None:
    """Raises Conflict for an enabled or awaiting trigger beyond the limit of the agent, which is locked."""
    allowances(conn, {agent.agent_id: agent})[agent.agent_id].take()


def check_may_add(kind: type[TriggerConfig]) -> None:
    """Raises InvalidField for a new trigger of a kind reserved to the system."""
    if not kind.is_offered:
        offered = ", ".join(OFFERED)
        raise InvalidField(f"Only the system creates triggers of type {kind.kind}; use {offered}.", field="type")
