"""Permissions on every route of the application."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from api.resources.base import PREFIX
from tests.support.api import Api, Caller, agent_body, trigger_body
from tests.support.routes import BODIES, PUBLIC_KEY, SCOPES

LISTS = (
    *("/agents", "/triggers", "/firings", "/invocations", "/users", "/sessions", "/channels", "/models"),
    *("/audit", "/api-keys", "/web-users"),
)
LEVELS = ("read", "write", "admin", "operator")


@dataclass
class World:
    """A tenant with one object of each kind, and their ids."""

    ids: dict[str, str]
    admin: Caller


def world(api: Api, name: str) -> World:
    """Creates a tenant with an agent, triggers, a firing, its invocation, a user, a message, a channel and a key."""
    tenant_id = api.tenant(name)
    as_tenant = api.as_(api.key, tenant_id)
    agent_id = as_tenant.post("/agents", agent_body())["id"]
    hook = trigger_body("hook", type="webhook", config={}, managed_by_agent=True, focus_ref=f"{name}/inbox")
    trigger = as_tenant.post(f"/agents/{agent_id}/triggers", hook)
    token = trigger["hook_url"].rsplit("/", 1)[1]
    firing_id = as_tenant.ok(as_tenant.call("POST", f"//hooks/{token}", data=b"hello"), 202)["firing_id"]
    user_id = as_tenant.post("/users", {"name": "grace"})["id"]
    said = {"from": {"type": "user", "id": user_id}, "to_agent_id": agent_id, "text": "hello"}
    message = as_tenant.post("/messages", said)
    channel_body = {"name": "chat", "kind": "discord", "agent_id": agent_id, "secrets": PUBLIC_KEY}
    target_body = {"name": "ops", "kind": "slack", "url": "https://nowhere.invalid/"}
    admin = api.with_key("admin", tenant_id=tenant_id)
    ids = {
        "agent_id": agent_id,
        "trigger_id": trigger["id"],
        "delivery_id": as_tenant.get(f"/triggers/{trigger['id']}/deliveries")["items"][0]["id"],
        "firing_id": firing_id,
        "focus_ref": f"{name}/inbox",
        "user_id": user_id,
        "message_id": message["id"],
        "session_id": message["session_id"],
        "channel_id": as_tenant.post("/channels", channel_body)["id"],
        "target_id": as_tenant.post(f"/agents/{agent_id}/notification-targets", target_body)["id"],
        "model_id": as_tenant.post("/models", {"name": "m", "provider": "openai", "model": "m-1"})["id"],
        "invocation_id": as_tenant.get(f"/firings/{firing_id}")["invocation_id"],
        "web_user_id": as_tenant.post("/web-users", {"name": name, "password": "correct horse battery"})["id"],
        "key_id": admin.get("/api-keys")["items"][0]["id"],
        "tenant_id": tenant_id,
        "mute_id": as_tenant.post("/alerts/mutes", {"rule": "agent_asleep"})["id"],
    }
    return World(ids, admin)


def routes(api: Api) -> list[str]:
    """Returns every route below /api/v1 as `METHOD /path/<id>`."""
    return [
        f"{method} {rule.rule.removeprefix(PREFIX)}".replace("<item:", "<").replace("<reference:", "<")
        for rule in api.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(PREFIX)
    ]


def call(caller: Caller, route: str, ids: dict[str, str]) -> tuple[int, Any]:
    """Returns the status and the JSON of a call of `route` with its ids filled in."""
    method, path = route.replace("<number>", "1").split(" ")
    body = dict(BODIES[route]) if route in BODIES else None
    for name, value in ids.items():
        path = path.replace(f"<{name}>", value)
        if body is not None:
            body = json.loads(json.dumps(body).replace(f"<{name}>", value))
    response = caller.call(method, path, body)
    return response.status_code, response.get_json(silent=True)


def test_every_route_is_in_the_table_of_scopes(api: Api) -> None:
    """A new route must be added with its scope."""
    assert sorted(routes(api)) == sorted(SCOPES)


def test_every_route_refuses_a_caller_without_a_key(api: Api) -> None:
    """401, with the header that says what to send, whatever else is sent."""
    ids = world(api, "acme").ids
    for key in (None, "rvl_wrong"):
        for route in SCOPES:
            status, problem = call(api.as_(key), route, ids)
            # The only route with its own tokens answers that this token does not match.
            expected = {401, 409} if key and route.endswith("/complete") else {401, 429} if key else {401}
            assert status in expected, f"{route}: {status} {problem}"
    assert api.as_(None).call("GET", "/agents").headers["WWW-Authenticate"].startswith("Bearer")


def test_another_tenants_ids_are_not_there_on_any_route(api: Api) -> None:
    """404 for every id of another tenant, for reading and writing, and nothing changes."""
    acme, rival = world(api, "acme"), world(api, "rival")
    before = state_of(acme)
    named = [route for route in SCOPES if "<" in route]
    for route in named:
        status, problem = call(rival.admin, route, acme.ids)
        expected = 403 if "<tenant_id>" in route else 404
        assert status == expected, f"{route}: {status} {problem}"
    assert state_of(acme) == before


def test_an_operator_too_sees_only_the_tenant_it_acts_on(api: Api) -> None:
    """Without the header, an operator's key acts on `default`, where another tenant's ids do not exist."""
    acme = world(api, "acme")
    for route in SCOPES:
        if "<" in route and "<tenant_id>" not in route:
            assert call(api, route, acme.ids)[0] == 404, route


def test_lists_hold_nothing_of_another_tenant(api: Api) -> None:
    """Not even when filtered by another tenant's ids."""
    acme, rival = world(api, "acme"), world(api, "rival")
    foreign = set(acme.ids.values())
    for path in LISTS:
        items = rival.admin.get(path)["items"]
        assert items, path
        assert not foreign & {str(value) for item in items for value in item.values()}, path
    agent_id, trigger_id = acme.ids["agent_id"], acme.ids["trigger_id"]
    assert rival.admin.get("/triggers", agent_id=agent_id)["items"] == []
    assert rival.admin.get("/firings", agent_id=agent_id)["items"] == []
    assert rival.admin.get("/firings", trigger_id=trigger_id)["items"] == []
    assert rival.admin.get("/invocations", agent_id=agent_id)["items"] == []
    assert rival.admin.get("/audit", agent_id=agent_id)["items"] == []
    assert rival.admin.get("/audit", subject_id=trigger_id)["items"] == []


def test_a_tenants_key_cannot_name_another_tenant(api: Api) -> None:
    """The header is the operator's; for a tenant's key, other tenants do not exist."""
    acme, rival = world(api, "acme"), world(api, "rival")
    assert api.as_(rival.admin.key, rival.ids["tenant_id"]).get("/agents")["items"]
    api.as_(rival.admin.key, acme.ids["tenant_id"]).refused(404, "GET", "/agents")
    api.as_(rival.admin.key, "no-id").refused(404, "GET", "/agents")
    api.as_(api.key, "00000000-0000-7000-8000-0000000000ff").refused(404, "GET", "/agents")


@pytest.mark.timeout(900)  # loading the library of models takes minutes on a slow machine
@pytest.mark.parametrize("level", LEVELS)
def test_scopes_reach_as_far_as_the_table_says(api: Api, level: str) -> None:
    """403 exactly where the table requires more than the key has."""
    acme = world(api, "acme")
    caller = (
        api.as_(api.key, acme.ids["tenant_id"])
        if level == "operator"
        else api.with_key(level, tenant_id=acme.ids["tenant_id"])
    )
    # What deletes comes last, the longest path first.
    for route in sorted(SCOPES, key=lambda each: (each.startswith("DELETE"), -len(each))):
        status, problem = call(caller, route, acme.ids)
        allowed = LEVELS.index(level) >= LEVELS.index(SCOPES[route][0])
        assert (status != 403) == allowed, f"{level} {route}: {status} {problem}"
        assert status < 500, f"{route}: {problem}"


def test_an_agents_key_reaches_its_own_agent_only(api: Api) -> None:
    """It may read its own data and write its own triggers; other agents of the tenant do not exist for it."""
    acme = world(api, "acme")
    tenant_id = acme.ids["tenant_id"]
    other_id = acme.admin.post("/agents", agent_body("other"))["id"]
    own = api.with_key(f"agent:{acme.ids['agent_id']}", tenant_id=tenant_id)
    stranger = api.with_key(f"agent:{other_id}", tenant_id=tenant_id)
    for route in sorted(SCOPES, key=lambda each: (each.startswith("DELETE"), -len(each))):
        reaches = SCOPES[route][1]
        status, problem = call(stranger, route, acme.ids)
        names_another = "<" in route or route == "POST /triggers/bulk"
        expected = (404,) if reaches and names_another else (200, 201) if reaches else (403,)
        assert status in expected, f"stranger {route}: {status} {problem}"
        status, problem = call(own, route, acme.ids)
        if route.endswith("/documents/<number>"):
            assert "has no document" in problem["detail"], problem  # the firing exists; only a webhook's has none
            continue
        assert (status not in (403, 404)) == reaches, f"own {route}: {status} {problem}"
    for path in ("/triggers", "/firings", "/invocations"):
        assert stranger.get(path)["items"] == [], path
        stranger.refused(404, "GET", path, query_string={"agent_id": acme.ids["agent_id"]})
    assert [agent["id"] for agent in stranger.get("/agents")["items"]] == [other_id]


def test_a_mistyped_id_is_not_found_on_every_route(api: Api) -> None:
    """An invalid UUID names nothing: 404, not 422 and not 500. NUL is always 422."""
    for mistyped, expected in (("x'y", 404), ("x%00", 422)):
        ids = dict.fromkeys(re.findall(r"<(\w+)>", " ".join(SCOPES)), mistyped)
        for route in SCOPES:
            if "<" in route:
                status, problem = call(api, route, ids)
                assert status == expected, f"{route}: {status} {problem}"


def test_a_name_in_place_of_an_id_is_called_that(api: Api) -> None:
    api.agent("ada")
    for problem in (
        api.refused(404, "GET", "/agents/ada"),
        api.refused(422, "GET", "/triggers", query_string={"agent_id": "ada"}),
        api.refused(422, "POST", "/alerts/mutes", {"subject_id": "ada"}),
    ):
        assert ", not a name" in problem["detail"]


def state_of(seen: World) -> list[Any]:
    """Returns everything that a tenant's own admin sees, except the audit of reading it."""
    return [seen.admin.get(path) for path in LISTS if path != "/audit"]
