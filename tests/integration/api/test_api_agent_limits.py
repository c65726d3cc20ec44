"""Limits of new agents, of heartbeats and of models in use, over the API."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from tests.support.api import Api
from tests.support.budgets import run_times
from tests.support.database import rows
from tests.support.invocations import AgentWithTrigger, close, fire

MODEL = {"name": "small", "provider": "openai", "model": "gpt-x", "key": "sk-1"}


def test_a_new_agent_has_budgets_that_are_easily_lifted(api: Api) -> None:
    ada = api.agent("ada")
    assert (ada["max_tokens_per_day"], ada["max_invocations_per_hour"]) == (1_000_000, 600)
    free = {"max_tokens_per_day": None, "max_invocations_per_hour": None}
    assert free.items() <= api.agent("bob", **free).items()
    assert free.items() <= api.patch(f"/agents/{ada['id']}", free).items()
    assert api.patch(f"/agents/{ada['id']}", {"language": "zh"})["max_tokens_per_day"] is None


def test_a_lifted_limit_shortens_the_window_that_it_widened(api: Api) -> None:
    """An agent's own, and a tenant's."""
    agent = api.agent("ada", dedup_delay_seconds=0, max_invocations_per_hour=5)
    made = api.trigger(agent["id"], "hook", type="webhook", config={}, cooldown_seconds=0)
    woken = AgentWithTrigger(UUID(agent["id"]), UUID(made["id"]))
    run_times(api.db, woken, 4)
    query = "SELECT due_at - clock_timestamp() AS remaining, held_note FROM invocations WHERE state = 'collecting'"
    for owner in (f"/agents/{agent['id']}", f"/tenants/{agent['tenant_id']}"):
        fire(api.db, woken)
        assert close(api.db).ready == []
        before = rows(api.db, query)[0]
        assert before.remaining > timedelta(minutes=4)
        assert "nearly spent" in before.held_note
        api.patch(owner, {"max_invocations_per_hour": None})
        after = rows(api.db, query)[0]
        assert (after.remaining <= timedelta(0), after.held_note) == (True, None)
        run_times(api.db, woken, 1)
        api.patch(f"/tenants/{agent['tenant_id']}", {"max_invocations_per_hour": 6})


def test_a_heartbeat_is_no_faster_than_its_tenant_allows(api: Api) -> None:
    agent = api.agent("ada")
    path, tenant = f"/agents/{agent['id']}/heartbeat", f"/tenants/{agent['tenant_id']}"
    assert api.get(tenant)["min_heartbeat_interval"] == 240
    made = api.ok(api.call("PUT", path, {"minutes": 5}), 200)
    assert made["config"] == {"minutes": 240.0}
    trigger = f"/triggers/{made['id']}"
    assert api.patch(trigger, {"config": {"minutes": 30}})["config"] == {"minutes": 240.0}
    assert api.patch(trigger, {"config": {"minutes": None, "seconds": 90}})["config"] == {"minutes": 240.0}
    assert api.patch(trigger, {"config": {"minutes": None, "seconds": None}})["config"] == {"minutes": 240.0}
    api.refused(422, "PATCH", trigger, {"config": {"minutes": True}})
    assert api.patch(trigger, {"config": {"minutes": 300}})["config"] == {"minutes": 300.0}
    api.patch(tenant, {"min_heartbeat_interval": 720})
    assert api.get(trigger)["config"] == {"minutes": 720.0}
    api.patch(tenant, {"min_heartbeat_interval": 10})
    assert api.ok(api.call("PUT", path, {"minutes": 15}), 200)["config"] == {"minutes": 15.0}
    api.refused(422, "PATCH", trigger, {"config": {"minutes": "soon"}})


def test_a_model_in_use_is_not_deleted(api: Api) -> None:
    """As the first choice or as the fallback; the agents are named."""
    first, second = (api.post("/models", MODEL | {"name": name})["id"] for name in ("small", "large"))
    runtime = {"kind": "llm", "model_id": first, "fallback_model_id": second}
    agent = api.agent("ada", runtime=runtime)
    for model_id in (first, second):
        said = api.refused(409, "DELETE", f"/models/{model_id}")
        assert "in use by ada" in said["detail"]
    api.delete(f"/agents/{agent['id']}")
    for model_id in (first, second):
        api.delete(f"/models/{model_id}")
