"""Simulations: what was recorded, made-up load, and what definitions would change, without changing anything."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.support.api import Api, Caller
from tests.support.definitions import apply

ECHO = {"kind": "command", "name": "echo"}
NEW = {"agent": "ada", "name": "x"}


@pytest.fixture
def tenant(shared: Api) -> Caller:
    """A tenant of the test's own, with an agent and its triggers."""
    tenant = shared.as_(shared.key, shared.tenant(f"t-{uuid4().hex[:8]}"))
    apply(tenant, definitions())
    return tenant


def definitions(**agent: Any) -> dict[str, Any]:
    return {
        "agents": [{"name": "ada", "runtime": ECHO, "timezone": "Europe/Berlin"} | agent],
        "triggers": [
            {"agent": "ada", "name": "hourly", "type": "interval", "config": {"minutes": 60}},
            {"agent": "ada", "name": "night", "type": "cron", "config": {"expr": "30 2 * * *"}},
            {"agent": "ada", "name": "push", "type": "webhook"},
        ],
    }


def simulate(tenant: Caller, body: dict[str, Any], **options: object) -> Any:
    return tenant.post("/simulations", body | options, status=200)


def test_today_and_a_proposal_are_compared(tenant: Caller) -> None:
    proposal = definitions(dedup_delay_seconds=3600)
    proposal["triggers"][0]["config"] = {"minutes": 20}
    proposal["triggers"].append({"agent": "ada", "name": "new", "type": "interval", "config": {"minutes": 1440}})
    answer = simulate(tenant, proposal, days=10)
    (ada,) = answer["agents"]
    assert ada["today"]["firings"] == 250
    assert ada["proposed"]["firings"] == pytest.approx(740, abs=2)
    assert ada["proposed"]["wakes"] < ada["today"]["wakes"]
    assert ada["proposed"]["merged"] > 400
    firings = {each["name"]: (each["today"], each["proposed"]) for each in answer["triggers"]}
    assert firings["new"][0] is None
    assert firings["hourly"] == (240, 720)
    assert {each["kind"] for each in answer["clock_changes"]} == {"moved", "repeated"}
    assert {each["name"] for each in answer["clock_changes"]} == {"night"}
    assert any("push has no recorded firings" in note for note in answer["notes"])
    assert [each["name"] for each in tenant.get("/triggers")["items"]] == ["push", "night", "hourly"]


def test_recorded_firings_are_replayed(tenant: Caller) -> None:
    (push,) = (each["id"] for each in tenant.get("/triggers")["items"] if each["name"] == "push")
    for _ in range(3):
        tenant.post(f"/triggers/{push}/fire", status=202)
    answer = simulate(tenant, definitions(), days=1)
    assert {each["name"]: each["today"] for each in answer["triggers"]}["push"] == 3
    assert answer["agents"][0]["today"]["wakes"] <= 26


def test_made_up_load_is_the_same_each_time(tenant: Caller) -> None:
    rates = [{"agent": "ada", "trigger": "push", "per_hour": 12}]
    options: dict[str, Any] = {"days": 5, "rates": rates, "run_seconds": 60, "tokens": 10, "cost": 1}
    one, two = (simulate(tenant, definitions(), **options)["agents"] for _ in range(2))
    assert one[0]["today"]["firings"] == pytest.approx(5 * 24 * 13 + 5, rel=0.1)
    assert one[0]["today"]["tokens"] == pytest.approx(10 * one[0]["today"]["wakes"], abs=10)
    assert abs(one[0]["today"]["firings"] - two[0]["today"]["firings"]) <= 3
    other = simulate(tenant, definitions(), **options, seed=1)["agents"]
    assert other[0]["today"]["firings"] != one[0]["today"]["firings"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rates": [{"agent": "ada", "trigger": "none", "per_hour": 1}]}, "rates"),
        ({"rates": [{"agent": "ada", "trigger": "hourly", "per_hour": 1}]}, "rates"),
        ({"days": 0}, "days"),
        (
            {"triggers": [NEW | {"type": "cron", "config": {"expr": "x"}}]},
            "triggers.0.config.expr",
        ),
        (
            {
                "triggers": [NEW | {"type": "interval", "config": {"seconds": 1}}],
                "days": 300,
            },
            "days",
        ),
    ],
    ids=["unknown", "timed", "days", "expr", "much"],
)
def test_what_cannot_be_simulated_is_refused(tenant: Caller, change: dict[str, Any], field: str) -> None:
    problem = tenant.refused(422, "POST", "/simulations", {"agents": definitions()["agents"]} | change)
    assert problem["field"] == field


def test_without_definitions_everything_is_simulated_as_it_is(tenant: Caller) -> None:
    (ada,) = simulate(tenant, {}, days=2)["agents"]
    assert ada["today"] == ada["proposed"]
