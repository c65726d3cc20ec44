"""Simulates definitions and compares them with today, over recorded firings or given arrival rates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from scheduler.domain.clock import Clock
from scheduler.domain.schedule import Note
from scheduler.domain.thread_quota import ThreadQuota
from scheduler.manage.definitions.service import Definitions
from scheduler.manage.definitions.shapes import WantedDefinition
from scheduler.manage.models import Author
from scheduler.manage.simulated import SimulationRequest, Situation, Span
from scheduler.simulation.clock_changes import clock_changes
from scheduler.simulation.engine import simulate
from scheduler.simulation.shapes import Figures, Outcome, Plan
from scheduler.triggers.zones import load_zone


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent's figures today and as proposed; None where it does not exist."""

    name: str
    today: Figures | None
    proposed: Figures | None


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """A trigger's firings today and as proposed; None where it does not exist."""

    agent: str
    name: str
    today: int | None
    proposed: int | None


@dataclass(frozen=True, slots=True)
class ClockChange:
    """What a clock change does to the slots of a trigger on a day; `text` is about the first."""

    agent: str
    name: str
    at: datetime
    zone: str
    kind: str
    slots: int
    text: str


@dataclass(slots=True)
class Comparison:
    """The result."""

    start: datetime
    end: datetime
    agents: list[AgentRow] = field(default_factory=list)
    triggers: list[TriggerRow] = field(default_factory=list)
    clock_changes: list[ClockChange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Simulations:
    """Simulates. Nothing is changed."""

    def __init__(self, definitions: Definitions, clock: Clock) -> None:
        self._definitions = definitions
        self._clock = clock
        # Each takes seconds of a processor.
        self._turns = ThreadQuota("simulations are running")

    def run(
        self, tenant_id: UUID, wanted: Sequence[WantedDefinition], author: Author, asked: SimulationRequest
    ) -> Comparison:
        """Compares definitions with today. Raises InvalidField, InvalidRequest, LimitReached."""
        names = {
            each.agent or each.name for each in wanted if each.kind in ("agent", "trigger", "target", "channel")
        }
        former = {each.renamed_from for each in wanted if each.kind == "agent" and each.renamed_from}
        now = self._clock.now()
        span = timedelta(days=asked.days)
        made = Comparison(now, now + span) if asked.rates else Comparison(now - span, now)
        with self._turns.take(tenant_id):
            today, proposed = self._definitions.before_and_after(
                tenant_id,
                wanted,
                author,
                lambda conn: Situation(conn, tenant_id, names | former, asked, Span(made.start, made.end)),
            )
            proposed.check_rates()
            before, after = today.plan(), proposed.plan()
            _compare(made, before, simulate(before), after, simulate(after))
            made.clock_changes += _changes(proposed, now)
        made.notes += sorted({*today.notes, *proposed.notes})
        return made


def _compare(made: Comparison, before: Plan, today: Outcome, after: Plan, proposed: Outcome) -> None:
    names = {each.id: each.name for plan in (before, after) for each in plan.agents}
    made.agents += [
        AgentRow(name, today.agents.get(id_), proposed.agents.get(id_))
        for id_, name in sorted(names.items(), key=lambda each: each[1])
    ]
    triggers = {each.trigger.id: each.trigger for plan in (before, after) for each in plan.triggers}
    made.triggers += sorted(
        (
            TriggerRow(names[each.agent_id], each.name, today.firings.get(id_), proposed.firings.get(id_))
            for id_, each in triggers.items()
        ),
        key=lambda row: (row.agent, row.name),
    )


def _changes(read: Situation, now: datetime) -> list[ClockChange]:
    found = []
    for trigger, definition, agent in read.triggers:
        schedule = read.schedules[trigger.id]
        if schedule is not None and trigger.is_enabled:
            zone = definition.zone
            days: dict[tuple[date, str], list[Note]] = defaultdict(list)
            for note in clock_changes(schedule, zone, now):
                days[note.at.astimezone(load_zone(zone)).date(), note.kind].append(note)
            found += [
                ClockChange(agent, trigger.name, notes[0].at, zone, kind, len(notes), notes[0].text)
                for (_, kind), notes in days.items()
            ]
    return sorted(found, key=lambda change: (change.at, change.agent, change.name))
