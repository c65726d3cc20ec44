"""The input and the results of a simulation."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from scheduler.domain.errors import InvalidField
from scheduler.firings.new_firing import LockedTrigger, NewFiring
from scheduler.firings.slots import Definition


class TooManyEvents(InvalidField):
    """The simulation has too many events."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The budgets of an agent or a tenant. A day is one in `zone`."""

    zone: str
    tokens_per_day: int | None = None
    invocations_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a wake of an agent is assumed to take."""

    run: timedelta = timedelta(seconds=30)
    tokens: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """An agent: its name, limits and what a wake takes. The window's settings are with its triggers."""

    id: UUID
    name: str
    limits: Limits
    usage: Usage = Usage()
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class TriggerPlan:
    """A trigger, and when it fires: by its schedule, or, for a kind without one, when something arrives."""

    trigger: LockedTrigger
    definition: Definition
    arrivals: Sequence[datetime] = ()
    is_timed: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is simulated, from `start` to `end`."""

    start: datetime
    end: datetime
    agents: Sequence[AgentPlan]
    triggers: Sequence[TriggerPlan]
    tenant: Limits


@dataclass(frozen=True, slots=True)
class Wake:
    """An agent is woken, with its firings in their order: the trigger and the time of each."""

    agent_id: UUID
    at: datetime
    firings: Sequence[tuple[UUID, datetime]]


@dataclass(slots=True)
class Figures:
    """The figures of an agent over the whole time."""

    firings: int = 0
    wakes: int = 0
    waiting: int = 0
    """Firings that no wake has carried at the end."""
    held: int = 0
    """How often a budget held the window."""
    largest: int = 0
    longest_wait: timedelta = timedelta()
    waited: timedelta = timedelta()
    tokens: float = 0.0
    cost: float = 0.0

    @property
    def merged(self) -> int:
        """The wakes that were saved because firings shared one."""
        return self.firings - self.waiting - self.wakes

    @property
    def mean_wait(self) -> timedelta:
        """How long a firing waited for its wake on average."""
        carried = self.firings - self.waiting
        return self.waited / carried if carried else timedelta()


@dataclass(slots=True)
class Outcome:
    """The result: each wake, and the figures of each agent and the firings of each trigger, by id."""

    wakes: list[Wake] = field(default_factory=list)
    agents: dict[UUID, Figures] = field(default_factory=dict)
    firings: dict[UUID, int] = field(default_factory=dict)


@dataclass(slots=True)
class Window:
    """An open window."""

    opened_at: datetime
    due_at: datetime | None
    firings: list[NewFiring] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    is_busy: bool = False
    """It is held until the agent's run ends."""


@dataclass(slots=True)
class Account:
    """What an agent or a tenant has spent."""

    limits: Limits
    readied: deque[datetime] = field(default_factory=deque)
    tokens: dict[date, float] = field(default_factory=dict)
