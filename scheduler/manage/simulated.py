"""Reads the input of a simulation: agents, triggers, their recorded firings, and the usage of a run."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Text, Uuid, any_, bindparam, cast, select, text

from scheduler.domain.errors import InvalidField
from scheduler.domain.schedule import Schedule
from scheduler.firings.new_firing import LOCKED_COLUMNS, LockedTrigger
from scheduler.firings.slots import Definition
from scheduler.simulation.shapes import AgentPlan, Limits, Plan, TriggerPlan, Usage
from scheduler.storage.agents import ZONE
from scheduler.storage.rows import reader
from scheduler.storage.tables.core import Agent, Trigger
from scheduler.storage.tables.tenants import Tenant
from scheduler.triggers.registry import KINDS

MOST_AGENTS = 100
MOST_ARRIVALS = 100_000
NONE_RUN = timedelta(seconds=30)
"""The assumed duration of a run of an agent that never ran."""

AGENTS = (
    select(
        Agent.id, Agent.name, ZONE.label("zone"), Agent.is_paused, Agent.max_tokens_per_day,
        Agent.max_invocations_per_hour,
    )
    .join(Tenant, Tenant.id == Agent.tenant_id)
    .where(Agent.tenant_id == bindparam("tenant_id"), Agent.deleted_at.is_(None))
    .order_by(Agent.name)
)  # fmt: skip
TRIGGERS = (
    select(
        *LOCKED_COLUMNS, cast(Trigger.config, Text).label("config"), Trigger.zone, Trigger.anchor_at.label("anchor"),
        Trigger.misfire_policy, Trigger.grace_seconds, Agent.name.label("agent_name"),
    )
    .join(Agent, Agent.id == Trigger.agent_id)
    .where(Trigger.tenant_id == bindparam("tenant_id"), Trigger.deleted_at.is_(None), Agent.deleted_at.is_(None))
    .where(Trigger.agent_id == any_(bindparam("agents", type_=ARRAY(Uuid))))
)  # fmt: skip
ARRIVALS = text("""
    SELECT trigger_id, fired_at FROM firings
    WHERE trigger_id = ANY(CAST(:ids AS uuid[])) AND fired_at >= :since AND fired_at < :until
    ORDER BY fired_at LIMIT :limit
""")
USAGES = text("""
    SELECT agent_id, extract(epoch FROM avg(finished_at - started_at))::float8 AS seconds,
        avg(tokens_in + tokens_out)::float8 AS tokens, avg(cost)::float8 AS cost
    FROM invocations
    WHERE agent_id = ANY(CAST(:ids AS uuid[])) AND state = 'succeeded' AND finished_at >= :since
    GROUP BY agent_id
""")
TENANT = select(Tenant.timezone, Tenant.max_tokens_per_day, Tenant.max_invocations_per_hour)


@dataclass(frozen=True, slots=True)
class SimulationRequest:
    """What to simulate. `rates` are arrivals per hour by agent and trigger; usage is measured unless given."""

    days: int = 30
    rates: Mapping[tuple[str, str], float] = field(default_factory=dict)
    run_seconds: float | None = None
    tokens: float | None = None
    cost: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """The simulated time."""

    start: datetime
    end: datetime


class Situation:
    """The data read from the database for one plan."""

    def __init__(
        self, conn: Connection, tenant_id: UUID, names: set[str], asked: SimulationRequest, span: Span
    ) -> None:
        self._asked, self._span = asked, span
        self.notes: list[str] = []
        found = conn.execute(AGENTS, {"tenant_id": tenant_id}).all()
        self.agents = [each for each in found if not names or each.name in names][:MOST_AGENTS]
        if not names and len(found) > MOST_AGENTS:
            self.notes.append(f"Only the first {MOST_AGENTS} of {len(found)} agents are simulated.")
        ids = [each.id for each in self.agents]
        result = conn.execute(TRIGGERS, {"tenant_id": tenant_id, "agents": ids})
        columns = list(result.keys())
        locked, definition = reader(LockedTrigger, columns), reader(Definition, columns)
        self.triggers = [(locked(row), definition(row), str(row.agent_name)) for row in result.all()]
        self.tenant = conn.execute(TENANT.where(Tenant.id == tenant_id)).one()
        self.schedules = {each.id: _schedule(each, definition) for each, definition, _ in self.triggers}
        self._arrivals = self._recorded(conn)
        since = span.end - timedelta(days=90)
        self._usages = {row.agent_id: row for row in conn.execute(USAGES, {"ids": ids, "since": since})}

    def _recorded(self, conn: Connection) -> dict[UUID, list[datetime]]:
        """Returns the recorded firings of triggers without a schedule, moved into the simulated time."""
        shift = self._span.end - self._span.start if self._asked.rates else timedelta()
        ids = [id_ for id_, schedule in self.schedules.items() if schedule is None]
        values = {
            "ids": ids, "since": self._span.start - shift, "until": self._span.end - shift, "limit": MOST_ARRIVALS + 1
        }  # fmt: skip
        arrivals: dict[UUID, list[datetime]] = defaultdict(list)
        found = conn.execute(ARRIVALS, values).all()
        if len(found) > MOST_ARRIVALS:
            raise InvalidField(
                f"More than {MOST_ARRIVALS:,} firings are recorded in this time; simulate fewer days.",
                field="days",
            )
        for row in found:
            arrivals[row.trigger_id].append(row.fired_at + shift)
        return arrivals

    def plan(self) -> Plan:
        """Returns the plan."""
        return Plan(
            self._span.start,
            self._span.end,
            [self._agent(each) for each in self.agents],
            [self._trigger(*each) for each in self.triggers],
            Limits(self.tenant.timezone, self.tenant.max_tokens_per_day, self.tenant.max_invocations_per_hour),
        )

    def check_rates(self) -> None:
        """Raises InvalidField for a rate of a trigger that is not simulated, or that has a schedule."""
        known = {(agent, trigger.name): trigger for trigger, _, agent in self.triggers}
        for key in self._asked.rates:
            if key not in known:
                raise InvalidField(f"There is no trigger {'/'.join(key)} among those simulated.", field="rates")
            if self.schedules[known[key].id] is not None:
                raise InvalidField(f"{'/'.join(key)} fires by its schedule; it has no rate.", field="rates")

    def _agent(self, row: Any) -> AgentPlan:
        measured = self._usages.get(row.id)
        if measured is None and None in (self._asked.run_seconds, self._asked.tokens):
            self.notes.append(
                f"{row.name} has not run yet: a run is taken to last {NONE_RUN.total_seconds():g} s and to cost "
                "nothing, unless you say otherwise."
            )
        usage = Usage(
            _run(self._asked.run_seconds, measured),
            _first(self._asked.tokens, None if measured is None else measured.tokens),
            _first(self._asked.cost, None if measured is None else measured.cost),
        )
        limits = Limits(row.zone, row.max_tokens_per_day, row.max_invocations_per_hour)
        return AgentPlan(row.id, row.name, limits, usage, row.is_paused)

    def _trigger(self, trigger: LockedTrigger, definition: Definition, agent: str) -> TriggerPlan:
        is_timed = self.schedules[trigger.id] is not None
        trigger = trigger._replace(last_wake_at=None, paced_at=None)
        if not self._asked.rates:  # the past: as if it began there
            trigger = trigger._replace(fire_count=0, expires_at=None)
        anchor = _anchor(trigger, definition, self._span.start)
        arrivals = [] if is_timed else self._arrivals_of(trigger, agent)
        return TriggerPlan(trigger, definition._replace(anchor=anchor), arrivals, is_timed)

    def _arrivals_of(self, trigger: LockedTrigger, agent: str) -> Sequence[datetime]:
        rate = self._asked.rates.get((agent, trigger.name))
        if rate is not None:
            return _made_up(rate, self._span, f"{self._asked.seed}:{agent}/{trigger.name}")
        recorded = self._arrivals.get(trigger.id, [])
        if not recorded and trigger.is_enabled:
            self.notes.append(f"{agent}/{trigger.name} has no recorded firings; state a rate to simulate some.")
        return recorded


def _run(given: float | None, measured: Any) -> timedelta:
    if given is not None:
        return timedelta(seconds=given)
    return NONE_RUN if measured is None else timedelta(seconds=max(measured.seconds or 0.0, 0.0))


def _first(given: float | None, measured: float | None) -> float:
    return given if given is not None else measured or 0.0


def _schedule(trigger: LockedTrigger, definition: Definition) -> Schedule | None:
    """Returns the schedule of a trigger that fires by it."""
    kind = KINDS.get(trigger.type)
    if kind is None or kind.checked_by is not None:
        return None
    config = kind.model_construct(**json.loads(definition.config))
    return config.schedule(definition.zone, definition.anchor, trigger.id)


def _anchor(trigger: LockedTrigger, definition: Definition, start: datetime) -> datetime:
    """Returns the anchor of a grid that begins before the simulated time, on the same times as the real one."""
    kind = KINDS.get(trigger.type)
    step = None if kind is None else kind.model_construct(**json.loads(definition.config)).step()
    if step is None or definition.anchor <= start:
        return definition.anchor
    return definition.anchor - step * -((start - definition.anchor) // step)


def _made_up(rate: float, span: Span, seed: str) -> list[datetime]:
    """Returns arrivals at random moments, always the same ones: a Poisson process of `rate` per hour."""
    source = random.Random(seed)  # noqa: S311  # not a secret
    arrivals: list[datetime] = []
    at = span.start
    while rate > 0 and len(arrivals) <= MOST_ARRIVALS:
        at += timedelta(hours=source.expovariate(rate))
        if at >= span.end:
            break
        arrivals.append(at)
    return arrivals
