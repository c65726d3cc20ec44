"""Simulated time: windows, budgets, clock changes. A whole day is compared with the service in tests/integration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.ids import new_id
from scheduler.firings.new_firing import LockedTrigger
from scheduler.firings.slots import Definition
from scheduler.simulation import engine
from scheduler.simulation.clock_changes import clock_changes
from scheduler.simulation.engine import simulate
from scheduler.simulation.shapes import AgentPlan, Limits, Outcome, Plan, TooManyEvents, TriggerPlan, Usage
from scheduler.triggers.cron import CronConfig

START = datetime(2027, 3, 1, tzinfo=UTC)
AGENT = UUID(int=1)


def trigger(kind: str, config: dict[str, Any], arrivals: Sequence[datetime] = (), **fields: Any) -> TriggerPlan:
    values: dict[str, Any] = {
        "id": new_id(), "tenant_id": UUID(int=2), "agent_id": AGENT, "name": "t", "type": kind, "is_enabled": True,
        "expires_at": None, "max_fires": None, "fire_count": 0, "urgent": False, "cooldown_seconds": 0.0,
        "last_wake_at": None, "dedup_delay_seconds": 30.0, "max_batch": 100, "is_paced": False, "paced_at": None,
        "read_at": START,
    }  # fmt: skip
    definition = Definition(json.dumps(config), "Europe/Berlin", START, "latest", 60.0)
    return TriggerPlan(LockedTrigger(**(values | fields)), definition, arrivals, is_timed=kind != "webhook")


def run(*triggers: TriggerPlan, hours: float = 24, paused: bool = False, limits: Limits | None = None) -> Outcome:
    agent = AgentPlan(
        AGENT, "ada", limits or Limits("UTC"), Usage(timedelta(minutes=2), tokens=100, cost=0.5), is_paused=paused
    )
    return simulate(Plan(START, START + timedelta(hours=hours), [agent], triggers, Limits("UTC")))


def burst(count: int, seconds: float = 1) -> list[datetime]:
    return [START + timedelta(seconds=seconds * n) for n in range(count)]


def test_firings_of_a_window_share_a_wake() -> None:
    outcome = run(trigger("webhook", {}, burst(5)), trigger("interval", {"minutes": 60}))
    figures = outcome.agents[AGENT]
    assert (figures.firings, figures.wakes, figures.merged, figures.largest) == (28, 24, 4, 5)
    assert figures.longest_wait == timedelta(seconds=30)
    assert (figures.tokens, figures.cost) == (2400, 12.0)


def test_a_full_window_closes_early_and_a_busy_agent_waits() -> None:
    outcome = run(trigger("webhook", {}, burst(10), max_batch=4))
    assert [len(wake.firings) for wake in outcome.wakes] == [4, 4, 2]
    assert [wake.at - START for wake in outcome.wakes] == [
        timedelta(seconds=3), timedelta(seconds=123), timedelta(seconds=243)
    ]  # fmt: skip


def test_budgets_hold_and_pauses_keep() -> None:
    every_minute = trigger("interval", {"seconds": 300})
    held = run(every_minute, limits=Limits("UTC", invocations_per_hour=3)).agents[AGENT]
    assert held.wakes < 24 * 4
    assert held.held > 20
    assert held.firings == 287
    spent = run(every_minute, hours=48, limits=Limits("UTC", tokens_per_day=1000)).agents[AGENT]
    assert spent.tokens <= 2200
    paused = run(every_minute, paused=True).agents[AGENT]
    assert (paused.wakes, paused.waiting) == (0, 287)


def test_max_fires_and_expiry_end_a_trigger() -> None:
    assert run(trigger("interval", {"minutes": 1}, max_fires=3)).agents[AGENT].firings == 3
    soon = START + timedelta(minutes=10, seconds=30)
    assert run(trigger("interval", {"minutes": 1}, expires_at=soon)).agents[AGENT].firings == 10
    assert run(trigger("webhook", {}, burst(5, 60), max_fires=2)).agents[AGENT].firings == 2
    assert run(trigger("interval", {"minutes": 1}, is_enabled=False)).agents[AGENT].firings == 0


def test_too_many_events_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_EVENTS", 100)
    with pytest.raises(TooManyEvents, match="simulate fewer days"):
        run(trigger("interval", {"seconds": 10}))


def test_clock_changes_of_two_years_are_found() -> None:
    def kinds(expr: str, zone: str) -> list[tuple[str, str]]:
        schedule = CronConfig(expr=expr).schedule(zone, START, None)
        assert schedule is not None
        return [(f"{note.at:%Y-%m-%d}", note.kind) for note in clock_changes(schedule, zone, START)]

    assert kinds("30 2 * * *", "Europe/Berlin") == [
        ("2027-03-28", "moved"), ("2027-10-31", "repeated"), ("2028-03-26", "moved"), ("2028-10-29", "repeated")
    ]  # fmt: skip
    assert kinds("30 2 * * *", "Asia/Tokyo") == kinds("30 12 * * *", "Europe/Berlin") == []
    assert kinds("0,30 2 * * 1", "Europe/Berlin") == []
