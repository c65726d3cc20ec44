"""Shapes of figures over time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

from api.schemas.base import Answer, Query, Time, Zone, local_moment
from scheduler.domain.periods import Step

LONGEST_DAY = len("2030-01-31")
Cost = Annotated[float, BeforeValidator(float), Field(description="In the currency of the models' prices.")]
Seconds = Annotated[float, PlainSerializer(lambda value: round(value, 6), return_type=float)] | None


def _end(value: object) -> datetime:
    moment = local_moment(value)
    return moment + timedelta(days=1) if isinstance(value, str) and len(value) <= LONGEST_DAY else moment


class InsightsQuery(Query):
    """The requested figures."""

    since: Annotated[datetime, BeforeValidator(local_moment)] | None = Field(
        None, alias="from", description="RFC 3339; extended to the start of its hour or day. Default: a day ago."
    )
    until: Annotated[datetime, BeforeValidator(_end)] | None = Field(
        None, alias="to", description="RFC 3339, exclusive; a date includes the whole day. Default: now."
    )
    step: Step | None = Field(None, description="Default: `hour` for up to three days, else `day`.")
    zone: Zone | None = Field(
        None, description="Whose hours and days, and of times without an offset. Default: the tenant's."
    )
    agent_id: UUID | None = None
    trigger_id: UUID | None = None


class SpentOut(Answer):
    """Tokens and cost."""

    tokens_in: int
    tokens_out: int
    cost: Cost


class PeriodFiguresOut(SpentOut):
    """Firings, and the wakes that began, with their outcomes."""

    firings: int
    wakes: int
    failures: int = Field(description="Wakes that failed, that is ended `dead`.")
    skipped: int = Field(description="Invocations that woke nobody, as their agent or model was missing.")


class BucketOut(PeriodFiguresOut):
    """The figures of one hour or day. Lateness is from slot to firing, null without firings of a schedule."""

    start: Time
    lateness_p50: Seconds
    lateness_p95: Seconds
    lateness_max: Seconds


class AgentSumsOut(SpentOut):
    """The outcomes of an agent's wakes."""

    id: UUID
    name: str
    wakes: int
    failures: int
    skipped: int


class NoisyTriggerOut(Answer):
    """How often a trigger fired."""

    id: UUID
    name: str
    type: str
    agent_id: UUID
    agent_name: str
    firings: int


class MonthOut(SpentOut):
    """The spending since the month began in the tenant's zone, counted by day in each agent's zone."""

    start: Time
    end: Time
    invocations: int
    budget: float | None = Field(description="The tenant's `cost_budget_per_month`; null for one agent.")


class InsightsOut(Answer):
    """Figures over time, oldest first. The rankings hold ten each."""

    model_config = ConfigDict(serialize_by_alias=True)

    start: Time = Field(serialization_alias="from")
    end: Time = Field(serialization_alias="to")
    step: Step
    zone: str
    currency: str
    totals: PeriodFiguresOut
    buckets: list[BucketOut]
    failing_agents: list[AgentSumsOut]
    spending_agents: list[AgentSumsOut]
    noisy_triggers: list[NoisyTriggerOut]
    month: MonthOut
