"""Shapes of simulations.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Required, TypedDict

if TYPE_CHECKING:
    from reveille.shapes.definitions import (
        AgentDefinition,
        ChannelDefinition,
        ModelDefinition,
        TargetDefinition,
        TriggerDefinition,
    )


class AgentFiguresOut(TypedDict):
    name: str
    today: FiguresOut | None
    proposed: FiguresOut | None


class ClockChangeOut(TypedDict):
    agent: str
    name: str
    at: str
    zone: str
    kind: str
    slots: int
    text: str


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


class RateIn(TypedDict, total=False):
    agent: Required[str]
    trigger: Required[str]
    per_hour: Required[float]


class SimulatedOut(TypedDict):
    start: str
    end: str
    agents: list[AgentFiguresOut]
    triggers: list[TriggerFiguresOut]
    clock_changes: list[ClockChangeOut]
    notes: list[str]


class SimulationIn(TypedDict, total=False):
    models: list[ModelDefinition]
    agents: list[AgentDefinition]
    triggers: list[TriggerDefinition]
    targets: list[TargetDefinition]
    channels: list[ChannelDefinition]
    days: int
    rates: list[RateIn]
    run_seconds: float | None
    tokens: float | None
    cost: float | None
    seed: int


class TriggerFiguresOut(TypedDict):
    agent: str
    name: str
    today: int | None
    proposed: int | None
