"""Models through the API: what is shown, where their keys may be sent, and which agents use them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.database import change, rows

NOBODY = "00000000-0000-7000-8000-0000000000ff"


def model_body(name: str = "small", **fields: object) -> dict[str, Any]:
    return {"name": name, "provider": "openai", "model": "gpt-4o-mini", "key": "sk-secret", **fields}


def test_a_model_is_made_shown_changed_and_deleted_and_its_key_never_shown(api: Api) -> None:
    made = api.post("/models", model_body(input_price=0.15, output_price=0.6, max_output_tokens=1000))
    assert (made["has_key"], made["is_enabled"], made["input_price"], made["output_price"]) == (
        True,
        True,
        0.15,
        0.6,
    )
    assert "key" not in made
    [stored] = rows(api.db, "SELECT key FROM models")
    assert api.services.box.decrypt(stored.key) == "sk-secret"
    path = f"/models/{made['id']}"
    assert api.get(path) == made
    assert api.get("/models")["items"] == [made]
    changed = api.patch(path, {"is_enabled": False, "max_output_tokens": None})
    assert (changed["is_enabled"], changed["max_output_tokens"], changed["has_key"]) == (False, None, True)
    assert api.patch(path, {"key": None})["has_key"] is False
    assert api.refused(409, "POST", "/models", model_body())["field"] == "name"
    api.delete(path)
    api.refused(404, "GET", path)
    actions = [event["action"] for event in api.get("/audit", action="model")["items"]]
    assert actions == ["model.deleted", "model.updated", "model.updated", "model.created"]


def field_of(problem: Any) -> str:
    return str(problem.get("field") or problem["errors"][0]["field"])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"provider": "openai-compatible"}, "base_url"),
        ({"provider": "nobody"}, "provider"),
        ({"base_url": "http://169.254.169.254/v1"}, "base_url"),
        ({"base_url": "file:///etc/passwd"}, "base_url"),
        ({"key_env": "OPENAI_API_KEY"}, "key_env"),
        ({"key": None, "key_env": "REVEILLE_SECRET_KEY"}, "key_env"),
        ({"key": "two words"}, "key"),
        ({"input_price": -1}, "input_price"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused(api: Api, fields: dict[str, Any], field: str) -> None:
    assert field_of(api.refused(422, "POST", "/models", model_body(**fields))) == field


def test_a_key_is_not_sent_to_another_address_by_who_may_change_the_model(api: Api) -> None:
    path = f"/models/{api.post('/models', model_body(base_url='https://a.example/v1'))['id']}"
    assert api.refused(422, "PATCH", path, {"base_url": "https://b.example/v1"})["field"] == "key"
    assert api.refused(422, "PATCH", path, {"base_url": None})["field"] == "key"
    assert api.refused(422, "PATCH", path, {"provider": "anthropic"})["field"] == "key"
    assert api.patch(path, {"base_url": "https://a.example/v2"})["base_url"] == "https://a.example/v2"
    assert api.patch(path, {"base_url": "https://b.example/v1", "key": "sk-new"})["has_key"] is True
    assert api.patch(path, {"base_url": "https://c.example/v1", "key": None})["has_key"] is False


def test_only_the_operator_names_a_variable_and_decides_where_it_is_sent(api: Api) -> None:
    tenants = api.with_key("write")
    body = model_body(key=None, key_env="OPENAI_API_KEY")
    tenants.refused(403, "POST", "/models", body)
    path = f"/models/{api.post('/models', body)['id']}"
    tenants.refused(403, "PATCH", path, {"base_url": "https://b.example/v1"})
    tenants.refused(403, "PATCH", path, {"key_env": "OTHER"})
    assert tenants.patch(path, {"is_enabled": False})["key_env"] == "OPENAI_API_KEY"
    shown = tenants.patch(path, {"key": "sk-own"})
    assert (shown["has_key"], shown["key_env"]) == (True, None)


def test_an_agent_thinks_with_models_of_its_tenant(api: Api) -> None:
    model_id = api.post("/models", model_body())["id"]
    runtime = {"kind": "llm", "model_id": model_id, "tools_by_trust": {"unauthenticated": ["list_triggers"]}}
    agent = api.agent("thinker", runtime=runtime)
    assert agent["runtime"] == {
        **runtime,
        "fallback_model_id": None,
        "instructions": "",
        "tool_rounds": 50,
    }
    path = f"/agents/{agent['id']}"
    changed = api.patch(path, {"runtime": {"fallback_model_id": model_id, "tool_rounds": 3}})
    assert (changed["runtime"]["fallback_model_id"], changed["runtime"]["tool_rounds"]) == (model_id, 3)
    assert changed["runtime"]["tools_by_trust"] == runtime["tools_by_trust"]
    refused = api.refused(422, "PATCH", path, {"runtime": {"fallback_model_id": NOBODY}})
    assert refused["field"] == "runtime.fallback_model_id"
    other = api.as_(api.key, api.tenant("other"))
    body = {"name": "thief", "runtime": runtime}
    assert other.refused(422, "POST", "/agents", body)["field"] == "runtime.model_id"
    assert api.patch(path, {"runtime": {"kind": "command", "name": "echo"}})["runtime"]["kind"] == "command"


def test_usage_is_shown_by_day_and_by_trigger(api: Api) -> None:
    agent_id = api.agent()["id"]
    assert api.get(f"/agents/{agent_id}/usage") == {"days": [], "triggers": []}
    trigger = api.trigger(agent_id)
    fired = api.post(f"/triggers/{trigger['id']}/fire", None, 202)
    change(
        api.db,
        "UPDATE invocations SET tokens_in = 100, tokens_out = 10, cost = 0.5, firing_ids = ARRAY[CAST(:id AS uuid)]",
        id=fired["firing_id"],
    )
    change(
        api.db,
        "INSERT INTO agent_usage (agent_id, day, tenant_id, tokens_in, tokens_out, cost, invocations) "
        "SELECT id, CURRENT_DATE, tenant_id, 100, 10, 0.5, 1 FROM agents",
    )
    usage = api.get(f"/agents/{agent_id}/usage", days=2)
    [day] = usage["days"]
    assert (day["tokens_in"], day["tokens_out"], day["cost"], day["invocations"]) == (100, 10, 0.5, 1)
    [by_trigger] = usage["triggers"]
    assert by_trigger == {
        "trigger_id": trigger["id"],
        "trigger_name": "tick",
        "firings": 1,
        "tokens_in": 100.0,
        "tokens_out": 10.0,
        "cost": 0.5,
    }
