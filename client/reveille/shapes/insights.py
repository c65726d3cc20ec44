"""Shapes of insights.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class AgentSumsOut(TypedDict):
    tokens_in: int
    tokens_out: int
    cost: float
    id: str
    name: str
    wakes: int
    failures: int
    skipped: int


class BucketOut(TypedDict):
    tokens_in: int
    tokens_out: int
    cost: float
    firings: int
    wakes: int
    failures: int
    skipped: int
    start: str
    lateness_p50: float | None
    lateness_p95: float | None
    lateness_max: float | None


InsightsOut = TypedDict(
    "InsightsOut",
    {
        "from": "str",
        "to": "str",
        "step": "Step",
        "zone": "str",
        "currency": "str",
        "totals": "PeriodFiguresOut",
        "buckets": "list[BucketOut]",
        "failing_agents": "list[AgentSumsOut]",
        "spending_agents": "list[AgentSumsOut]",
        "noisy_triggers": "list[NoisyTriggerOut]",
        "month": "MonthOut",
    },
)


class MonthOut(TypedDict):
    tokens_in: int
    tokens_out: int
    cost: float
    start: str
    end: str
    invocations: int
    budget: float | None


class NoisyTriggerOut(TypedDict):
    id: str
    name: str
    type: str
    agent_id: str
    agent_name: str
    firings: int


class PeriodFiguresOut(TypedDict):
    tokens_in: int
    tokens_out: int
    cost: float
    firings: int
    wakes: int
    failures: int
    skipped: int


Step = Literal["hour", "day"]
