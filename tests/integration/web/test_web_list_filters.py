"""The filters of lists: what each shows, and the message for a wrong one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from scheduler.domain.ids import new_id
from scheduler.domain.model import InvocationState
from tests.support.api import Api
from tests.support.invocations import bring_to, make_agent_with_trigger, row_of
from tests.support.pages import signed_in

LISTS = {
    "/agents": ("state", "from", "to"),
    "/triggers": ("agent_id", "type", "state", "from", "to"),
    "/invocations": ("agent_id", "trigger_id", "state", "from", "to", "error"),
    "/firings": ("agent_id", "trigger_id", "state", "from", "to"),
    "/sessions": ("agent_id", "from", "to"),
    "/deliveries": ("agent_id", "trigger_id", "state", "from", "to", "error"),
    "/dead": ("agent_id", "trigger_id", "state", "from", "to", "error"),
    "/approvals": ("agent_id", "type"),
    "/audit": ("agent_id", "trigger_id", "action", "subject_id", "from", "to"),
    "/settings/notifications": ("agent_id", "state", "from", "to", "error"),
    "/settings": ("permission", "from", "to"),
    "/settings/models": ("state", "from", "to"),
    "/settings/sign-ins": ("kind", "from", "to"),
}
FREE = ("error",)
"""Filters that accept any text."""
BEFORE = (datetime.now(UTC) - timedelta(days=1)).isoformat()  # noqa: TID251  # of the database's clock
AFTER = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # noqa: TID251
SPANS: list[dict[str, Any]] = [{"from": AFTER}, {"to": BEFORE}]


def test_a_filter_that_is_wrong_is_said_beside_its_field(shared: Api) -> None:
    browser = signed_in(shared)
    for path, names in LISTS.items():
        page = browser.get(path)
        for name in names:
            assert f'name="{name}"' in page, f"{path} {name}"
            if name in FREE:
                continue
            status = 404 if name in ("agent_id", "trigger_id") else 422
            for wrong in ("no such <thing>", str(new_id())) if name != "subject_id" else ("no such <thing>",):
                query: dict[str, Any] = {name: wrong}
                said = browser.get(path, status, **query)
                assert f'id="e-{name}"' in said, f"{path} {name}"
                assert "<thing>" not in said
                assert "Correct the marked filter" in said


def test_every_list_of_the_ledger_is_filtered_by_agent_trigger_state_time_and_error(api: Api) -> None:
    ada, bob = make_agent_with_trigger(api.db, "ada"), make_agent_with_trigger(api.db, "bob")
    dead = bring_to(api.db, ada, InvocationState.DEAD)
    well = bring_to(api.db, bob, InvocationState.SUCCEEDED)
    error = row_of(api.db, dead).tries[-1]["error"]
    browser = signed_in(api)
    leaves: list[dict[str, Any]] = [
        {"agent_id": "ada"},
        {"agent_id": "ADA"},
        {"agent_id": str(ada.agent_id)},
        {"trigger_id": str(ada.trigger_id)},
        {"agent_id": "ada", "trigger_id": str(ada.trigger_id), "state": "dead", "from": BEFORE, "to": AFTER},
    ]
    for wanted in [*leaves, {"error": error[2:-2]}, {"state": "dead", "error": error}]:
        page = browser.get("/invocations", **wanted)
        assert f"/invocations/{dead}" in page, wanted
        assert f"/invocations/{well}" not in page, wanted
        if wanted.get("state") != "dead" or "error" not in wanted:
            assert f"/invocations/{dead}" in browser.get("/dead", **wanted), wanted
    for wanted in leaves:
        page = browser.get("/firings", **wanted)
        assert f"/invocations/{dead}" in page, wanted
        assert f"/invocations/{well}" not in page, wanted
    for path in ("/invocations", "/firings", "/dead", "/audit", "/triggers", "/sessions", "/deliveries"):
        for span in SPANS:
            page = browser.get(path, **span)
            assert "match" in page, f"{path} {span}"
            assert str(dead) not in page, f"{path} {span}"
    assert "No invocations match" in browser.get("/invocations", error="no such error")


def test_one_that_was_replayed_is_still_found_by_its_trigger(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    dead = bring_to(api.db, woken, InvocationState.DEAD)
    browser = signed_in(api)
    again = browser.post(f"/invocations/{dead}/replay").location
    page = browser.get("/invocations", trigger_id=str(woken.trigger_id))
    assert f"/invocations/{dead}" in page
    assert again in page


def test_replaying_all_replays_all_that_match_the_filters(api: Api) -> None:
    dead = {
        name: bring_to(api.db, make_agent_with_trigger(api.db, name), InvocationState.DEAD)
        for name in ("ada", "bob")
    }
    browser = signed_in(api)
    page = browser.get("/dead", agent_id="ada")
    assert 'href="/dead/replay?agent_id=ada"' in page
    asked = browser.get("/dead/replay", agent_id="ada")
    assert "Replay 1 invocation?" in asked
    assert 'name="agent_id" value="ada"' in asked
    assert browser.post("/dead/replay", all="1", agent_id="nobody").status_code == 422
    assert browser.post("/dead/replay", all="1", agent_id="ada").location == "/dead?agent_id=ada"
    assert row_of(api.db, dead["ada"]).replayed_into is not None
    assert row_of(api.db, dead["bob"]).replayed_into is None


def test_triggers_of_one_name_are_distinguished_by_their_agent(shared: Api) -> None:
    ids = {name: shared.trigger(shared.agent(name)["id"], "tick")["id"] for name in ("ada", "bob")}
    browser = signed_in(shared)
    assert "Several are called" in browser.get("/firings", 422, trigger_id="tick")
    browser.get("/firings", trigger_id="tick", agent_id="ada")
    page = browser.get("/audit", trigger_id=ids["bob"], action="trigger")
    assert f"/triggers/{ids['bob']}" in page
    assert f"/triggers/{ids['ada']}" not in page


def test_a_time_is_of_the_pages_zone_and_a_day_lasts_to_its_end(api: Api) -> None:
    make_agent_with_trigger(api.db, "ada")
    browser = signed_in(api)
    browser.client.set_cookie("reveille_zone", "Asia/Tokyo")
    span: dict[str, Any] = {"from": "2030-01-31T09:00:00Z", "to": "2030-02-01"}
    page = browser.get("/audit", **span)
    assert 'value="2030-01-31T18:00"' in page
    assert 'value="2030-02-01T23:59:59"' in page
    span = {"from": "2030-01-31", "to": "2030-01-30"}
    wrong = browser.get("/audit", 422, **span)
    assert "Must not be before the start." in wrong


def test_keys_models_and_sign_ins_are_filtered(api: Api) -> None:
    agent_id = api.agent("ada")["id"]
    key = api.post("/api-keys", {"name": "reader", "scopes": ["read"]})["key"]
    api.post("/api-keys", {"name": "of ada", "scopes": [f"agent:{agent_id}"]})
    for name, provider in (("quick", "openai"), ("deep", "anthropic")):
        api.post("/models", {"name": name, "provider": provider, "model": f"{name}-1", "key": "sk-of-a-test"})
    signed_in(api, key)
    browser = signed_in(api)
    shown: tuple[tuple[str, dict[str, Any], str, str], ...] = (
        ("/settings", {"permission": "agent"}, ">of ada<", ">reader<"),
        ("/settings", {"permission": "read"}, ">reader<", ">of ada<"),
        ("/settings", {"q": "OF A"}, ">of ada<", ">reader<"),
        ("/settings/models", {"q": "anthr"}, ">deep<", ">quick<"),
        ("/settings/models", {"q": "k-1"}, ">quick<", ">deep<"),
        ("/settings/sign-ins", {"q": "perat"}, "the session of operator", "the session of reader"),
        ("/settings/sign-ins", {"q": "read"}, "the session of reader", "the session of operator"),
    )
    for path, query, kept, left in shown:
        page = browser.get(path, **query)
        assert kept in page, (path, query)
        assert left not in page, (path, query)
    assert "No models match" in browser.get("/settings/models", state="disabled")
    assert "No sign-ins match" in browser.get("/settings/sign-ins", kind="user")
    for path in ("/settings", "/settings/models", "/settings/sign-ins"):
        for span in SPANS:
            assert "match" in browser.get(path, **span), (path, span)
    assert "No API keys match" not in browser.post("/settings/keys", name="", permission="agent").text


def test_another_tenants_agent_is_no_agent_of_a_filter(shared: Api) -> None:
    agent = shared.agent("carol")["id"]
    stranger = signed_in(shared, shared.with_key("read", tenant_id=shared.tenant("rival")).key)
    page = stranger.get("/invocations", 404, agent_id=agent)
    assert 'id="e-agent_id"' in page
    assert "carol" not in page
