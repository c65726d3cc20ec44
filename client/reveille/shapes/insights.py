"""Shapes of insights.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class AgentFiguresOut(TypedDict):
    name: str
    today: FiguresOut | None
    proposed: FiguresOut | None


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


class FiguresOut(TypedDict):
    firings: int
    wakes: int
    merged: int
    waiting: int
    held: int
    largest: int
    mean_wait: float
    longest_wait: float
    tokens: float
    cost: float


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
        "failing_agents": "list[AgentFiguresOut]",
        "spending_agents": "list[AgentFiguresOut]",
        "noisy_triggers": "list[TriggerFiguresOut]",
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


class PeriodFiguresOut(TypedDict):
    tokens_in: int
    tokens_out: int
    cost: float
    firings: int
    wakes: int
    failures: int
    skipped: int


Step = Literal["hour", "day"]


class TriggerFiguresOut(TypedDict):
    agent: str
    name: str
    today: int | None
    proposed: int | None
