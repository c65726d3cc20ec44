"""Simulations: what definitions would do, compared with today."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from api.schemas.base import Answer, Name, Time
from api.schemas.definitions import DefinitionList
from scheduler.domain.shapes import Shape
from scheduler.manage.simulated import SimulationRequest

MAX_DAYS = 366
Days = Annotated[int, Field(ge=1, le=MAX_DAYS)]


class RateIn(Shape):
    """How often a trigger without a schedule fires, at random moments."""

    agent: Name
    trigger: Name
    per_hour: float = Field(ge=1e-6, le=100_000, allow_inf_nan=False)


class SimulationIn(DefinitionList):
    """Definitions to simulate; without any, the existing ones. With rates, future days; else past days."""

    days: Days = 30
    rates: list[RateIn] = Field(default_factory=list, max_length=100)
    run_seconds: float | None = Field(
        None, ge=0, le=86_400, description="How long a run takes; null: as measured in the last 90 days."
    )
    tokens: float | None = Field(None, ge=0, le=10**12, description="What a wake takes; null: as measured.")
    cost: float | None = Field(None, ge=0, le=10**9, description="What a wake costs; null: as measured.")
    seed: int = Field(0, ge=0, le=2**31, description="The seed of the random moments.")

    def asked(self) -> SimulationRequest:
        """Returns the service's input."""
        rates = {(each.agent, each.trigger): each.per_hour for each in self.rates}
        return SimulationRequest(self.days, rates, self.run_seconds, self.tokens, self.cost, self.seed)


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


Seconds = Annotated[float, BeforeValidator(_seconds)]


class FiguresOut(Answer):
    """The simulated figures of an agent."""

    firings: int
    wakes: int
    merged: int = Field(description="Wakes that were saved because firings shared one.")
    waiting: int = Field(description="Firings that no wake has carried at the end.")
    held: int = Field(description="How often a budget held the window.")
    largest: int = Field(description="The most firings of one wake.")
    mean_wait: Seconds = Field(description="From a firing to its wake, in seconds.")
    longest_wait: Seconds
    tokens: float
    cost: float


class AgentFiguresOut(Answer):
    """An agent today and as proposed; null where it does not exist."""

    name: str
    today: FiguresOut | None
    proposed: FiguresOut | None


class TriggerFiguresOut(Answer):
    """A trigger's firings today and as proposed; null where it does not exist."""

    agent: str
    name: str
    today: int | None
    proposed: int | None


class ClockChangeOut(Answer):
    """A day in the next two years on which a clock change moves, drops (`merged`) or repeats slots.

    `at` and `text` are about the first of them.
    """

    agent: str
    name: str
    at: Time
    zone: str
    kind: str
    slots: int
    text: str


class SimulatedOut(Answer):
    """The result."""

    start: Time
    end: Time
    agents: list[AgentFiguresOut]
    triggers: list[TriggerFiguresOut]
    clock_changes: list[ClockChangeOut]
    notes: list[str]
