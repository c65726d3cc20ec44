"""Budgets in the API."""

from __future__ import annotations

import pytest

from tests.support.api import Api, Caller
from tests.support.budgets import run_times, spend_tokens
from tests.support.invocations import AgentWithTrigger, close, fire, make_agent_with_trigger, window_of


def limited(api: Api, **limits: int) -> AgentWithTrigger:
    """Creates an agent with these limits that has run once within the hour."""
    woken = make_agent_with_trigger(api.db)
    run_times(api.db, woken, 1)
    api.patch(f"/agents/{woken.agent_id}", limits)
    return woken


def budget(api: Caller, woken: AgentWithTrigger) -> dict[str, object]:
    found: dict[str, object] = api.get(f"/agents/{woken.agent_id}")["budget"]
    return found


def test_an_agent_without_limits_shows_what_it_spent(api: Api) -> None:
    agent = api.agent(max_tokens_per_day=None, max_invocations_per_hour=None)
    assert (agent["max_tokens_per_day"], agent["max_invocations_per_hour"]) == (None, None)
    assert api.get(f"/agents/{agent['id']}")["budget"] == {
        "tokens_per_day": {"used": 0, "limit": None},
        "invocations_per_hour": {"used": 0, "limit": None},
        "tenant_tokens_per_day": None,
        "tenant_invocations_per_hour": None,
        "held_until": None,
        "note": None,
    }
    made = api.agent("bob", max_tokens_per_day=5_000_000_000, max_invocations_per_hour=60)
    assert (made["max_tokens_per_day"], made["max_invocations_per_hour"]) == (5_000_000_000, 60)


@pytest.mark.parametrize("field", ["max_tokens_per_day", "max_invocations_per_hour"])
def test_limits_are_positive_or_null(api: Api, field: str) -> None:
    agent_id = api.agent()["id"]
    for wrong in (0, -1, 1.5, "many", True, 10**18):
        api.refused(422, "PATCH", f"/agents/{agent_id}", {field: wrong})
        api.refused(422, "POST", "/tenants", {"name": "wrong", field: wrong})
    api.patch(f"/agents/{agent_id}", {field: 7})
    assert api.patch(f"/agents/{agent_id}", {"role_description": "kept"})[field] == 7
    assert api.patch(f"/agents/{agent_id}", {field: None})[field] is None


def test_what_was_spent_is_shown_with_the_limit_and_what_is_held(api: Api) -> None:
    woken = limited(api, max_invocations_per_hour=1, max_tokens_per_day=1000)
    spend_tokens(api.db, woken, 300)
    fire(api.db, woken)
    assert close(api.db).held == 1
    shown = budget(api, woken)
    assert shown["tokens_per_day"] == {"used": 300, "limit": 1000}
    assert shown["invocations_per_hour"] == {"used": 1, "limit": 1}
    assert "invocations_per_hour are spent (1 of 1)" in str(shown["note"])
    window = api.get(f"/invocations/{window_of(api.db, woken).id}")
    assert (window["held_reason"], window["due_at"]) == ("budget", None)
    assert (window["held_until"], window["held_note"]) == (shown["held_until"], shown["note"])


@pytest.mark.parametrize("limit", [2, None])
def test_a_limit_that_is_changed_upward_frees_the_window_at_once(api: Api, limit: int | None) -> None:
    woken = limited(api, max_invocations_per_hour=1)
    firings = fire(api.db, woken)
    assert close(api.db).held == 1
    api.patch(f"/agents/{woken.agent_id}", {"max_invocations_per_hour": limit})
    assert budget(api, woken)["held_until"] is None
    [invocation_id] = close(api.db).ready
    assert api.get(f"/firings/{firings[0]}")["invocation_id"] == str(invocation_id)


def test_a_limit_that_is_changed_and_still_spent_holds_again(api: Api) -> None:
    woken = limited(api, max_tokens_per_day=1000)
    spend_tokens(api.db, woken, 2000)
    fire(api.db, woken)
    assert close(api.db).held == 1
    api.patch(f"/agents/{woken.agent_id}", {"max_tokens_per_day": 1500})
    assert close(api.db).held == 1
    actions = [event["action"] for event in api.get("/audit", subject_id=woken.agent_id)["items"]]
    assert actions.count("agent.budget_spent") == 2, "the new limit is a new budget"


def test_a_new_timezone_moves_the_midnight_that_a_hold_waits_for(api: Api) -> None:
    woken = limited(api, max_tokens_per_day=1000)
    for zone in ("UTC", "Pacific/Kiritimati"):
        spend_tokens(api.db, woken, 2000, zone)
    fire(api.db, woken)
    assert close(api.db).held == 1
    before = budget(api, woken)["held_until"]
    api.patch(f"/agents/{woken.agent_id}", {"timezone": "Pacific/Kiritimati"})
    assert close(api.db).held == 1
    after = budget(api, woken)["held_until"]
    assert str(before).endswith("T00:00:00Z")
    assert str(after).endswith("T10:00:00Z"), "midnight there, 14 hours ahead"


def test_a_tenants_limit_is_shown_by_its_agents_and_frees_them_when_it_is_raised(api: Api) -> None:
    woken = make_agent_with_trigger(api.db)
    run_times(api.db, woken, 1)
    tenant_id = api.get("/tenants")["items"][-1]["id"]
    changed = api.patch(f"/tenants/{tenant_id}", {"max_invocations_per_hour": 1, "max_tokens_per_day": 10})
    assert (changed["max_invocations_per_hour"], changed["max_tokens_per_day"]) == (1, 10)
    fire(api.db, woken)
    assert close(api.db).held == 1
    shown = budget(api.with_key(f"agent:{woken.agent_id}"), woken)
    assert shown["tenant_invocations_per_hour"] == {"used": 1, "limit": 1}
    assert shown["tenant_tokens_per_day"] == {"used": 0, "limit": 10}
    assert "tenant's" in str(shown["note"])
    api.patch(f"/tenants/{tenant_id}", {"max_invocations_per_hour": None})
    assert len(close(api.db).ready) == 1
    assert budget(api, woken)["tenant_invocations_per_hour"] is None
