"""Agents through the API."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from scheduler.storage.tables.core import Agent
from tests.support.api import Api, agent_body, running_api


def test_an_agent_has_the_tenants_limits_unless_it_has_its_own(api: Api) -> None:
    """Limits that are left out or null are the tenant's at that moment."""
    tenant_id = api.tenant("acme", default_max_triggers=7, max_webhook_rate=50, min_poll_interval_min=9)
    acme = api.as_(api.key, tenant_id)
    agent = acme.post("/agents", agent_body())
    assert (agent["max_triggers"], agent["webhook_rate_limit"], agent["min_poll_interval_min"]) == (7, 50, 9)
    assert agent["dedup_delay_seconds"] == 30
    own = acme.post("/agents", agent_body("own", max_triggers=3, webhook_rate_limit=1, min_poll_interval_min=60))
    assert (own["max_triggers"], own["webhook_rate_limit"], own["min_poll_interval_min"]) == (3, 1, 60)
    assert acme.patch(f"/agents/{own['id']}", {"max_triggers": None})["max_triggers"] == 7


def test_an_http_agents_secret_is_made_and_shown_once(api: Api) -> None:
    """Only in the creation's response; stored encrypted; a new one can be given or generated."""
    runtime = {"kind": "http", "url": "https://agent.example.org/wake"}
    made = api.post("/agents", {"name": "ada", "runtime": runtime})
    secret = made["runtime"]["secret"]
    assert secret.startswith("whsec_")
    path = f"/agents/{made['id']}"
    assert api.get(path)["runtime"] == runtime | {"secret": None}
    assert stored_secret(api) == secret
    assert api.patch(path, {"runtime": {"url": "https://agent.example.org/2"}})["runtime"]["secret"] is None
    assert stored_secret(api) == secret
    renewed = api.patch(path, {"runtime": {"secret": None}})["runtime"]["secret"]
    assert renewed.startswith("whsec_")
    assert renewed != secret
    given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert api.patch(path, {"runtime": {"secret": given}})["runtime"]["secret"] == given
    assert stored_secret(api) == given
    assert given not in str(api.get("/audit"))


def test_what_202_means_is_set_and_taken_back(api: Api) -> None:
    """It is one of two words, and a patch to null removes it; the secret and the address stay."""
    runtime = {"kind": "http", "url": "https://agent.example.org/wake", "accepted": "done"}
    path = f"/agents/{api.post('/agents', {'name': 'ada', 'runtime': runtime})['id']}"
    assert api.get(path)["runtime"] == runtime | {"secret": None}
    assert api.patch(path, {"runtime": {"accepted": "awaits"}})["runtime"]["accepted"] == "awaits"
    assert "accepted" not in api.patch(path, {"runtime": {"accepted": None}})["runtime"]
    assert api.get(path)["runtime"]["url"] == runtime["url"]
    problem = api.refused(422, "PATCH", path, {"runtime": {"accepted": "maybe"}})
    assert "accepted" in str(problem)


def test_a_runtime_can_become_another_kind(api: Api) -> None:
    """A patch with another kind replaces the runtime, including its secret."""
    agent = api.agent()
    path = f"/agents/{agent['id']}"
    changed = api.patch(path, {"runtime": {"kind": "http", "url": "https://agent.example.org"}})
    assert changed["runtime"]["secret"].startswith("whsec_")
    assert api.patch(path, {"runtime": {"kind": "command", "name": "echo"}})["runtime"] == {
        "kind": "command",
        "name": "echo",
    }
    assert stored_secret(api) is None
    assert api.refused(422, "PATCH", path, {"runtime": {"kind": "http"}})["field"] == "runtime.url"
    assert api.refused(422, "PATCH", path, {"runtime": {"url": "https://x.org"}})["field"] == "runtime.url"


def test_the_operator_may_open_private_addresses(database_url: str) -> None:
    """REVEILLE_ALLOW_PRIVATE_HOSTS also applies when an agent is created."""
    runtime = {"kind": "http", "url": "http://127.0.0.1:9000/"}
    with running_api(database_url, allow_private_hosts="127.0.0.0/8") as api:
        api.post("/agents", {"name": "ada", "runtime": runtime})


@pytest.mark.parametrize(
    ("host", "is_taken"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), (None, False)]
)
def test_agents_and_models_live_on_a_machine_that_nobody_else_reaches(
    database_url: str, host: str | None, is_taken: bool
) -> None:
    """Polls and notification targets may not be, nor agents on other private addresses."""
    near = {"kind": "http", "url": "http://localhost:9000/"}
    model = {"name": "m", "provider": "openai-compatible", "model": "m", "base_url": "http://127.0.0.1:9000/"}
    poll = {"url": "http://127.0.0.1:9000/", "json_path": "$.a"}
    with running_api(database_url, host=host) as api:
        agent = api.agent("ada")
        if is_taken:
            api.post("/agents", {"name": "near", "runtime": near})
            api.post("/models", model)
        else:
            assert api.refused(422, "POST", "/agents", {"name": "near", "runtime": near})["field"] == "runtime.url"
            assert api.refused(422, "POST", "/models", model)["field"] == "base_url"
        far = {"kind": "http", "url": "http://10.0.0.1:9000/"}
        assert api.refused(422, "POST", "/agents", {"name": "far", "runtime": far})["field"] == "runtime.url"
        path, body = f"/agents/{agent['id']}/triggers", {"name": "p", "type": "poll", "config": poll}
        assert api.refused(422, "POST", path, body)["field"] == "config.url"
        target = {"name": "t", "kind": "webhook", "url": "http://127.0.0.1:9000/"}
        assert api.refused(422, "POST", f"/agents/{agent['id']}/notification-targets", target)["field"] == "url"


def test_a_name_is_taken_once_and_free_after_its_agent_is_gone(api: Api) -> None:
    """409 at creation and at a change; another tenant may use the same name."""
    agent = api.agent("ada")
    assert api.refused(409, "POST", "/agents", agent_body("ada"))["field"] == "name"
    other = api.agent("bob")
    assert api.refused(409, "PATCH", f"/agents/{other['id']}", {"name": "ada"})["field"] == "name"
    api.as_(api.key, api.tenant("acme")).post("/agents", agent_body("ada"))
    api.delete(f"/agents/{agent['id']}")
    api.agent("ada")


def test_a_patch_changes_what_it_names(api: Api) -> None:
    """Null clears optional fields; an unknown field, or null for a required one, changes nothing at all."""
    agent = api.agent(timezone="Europe/Berlin", expires_at="2090-01-01T00:00:00Z", role_description="helps")
    path = f"/agents/{agent['id']}"
    changed = api.patch(path, {"timezone": None, "expires_at": None, "dedup_delay_seconds": 0})
    assert changed == agent | {
        "timezone": None,
        "expires_at": None,
        "dedup_delay_seconds": 0,
        "updated_at": changed["updated_at"],
    }
    assert api.patch(path, {}) == changed
    problem = api.refused(422, "PATCH", path, {"name": None, "colour": "red", "language": "fr"})
    assert sorted(error["field"] for error in problem["errors"]) == ["colour", "language", "name"]
    assert {**api.get(path), "budget": None} == changed | {"budget": None}


def test_a_changed_timezone_moves_the_triggers_that_have_none(api: Api) -> None:
    """The order trigger, agent, tenant applies from the moment of the change."""
    agent = api.agent()
    cron = {"type": "cron", "config": {"expr": "0 9 * * *"}}
    follows = api.trigger(agent["id"], "follows", **cron)
    own = api.trigger(agent["id"], "own", type="cron", config={"expr": "0 9 * * *", "timezone": "Asia/Tokyo"})
    assert follows["timezone"] == "UTC"
    api.patch(f"/agents/{agent['id']}", {"timezone": "America/New_York"})
    moved = api.get(f"/triggers/{follows['id']}")
    assert moved["timezone"] == "America/New_York"
    assert moved["next_fire_at"] != follows["next_fire_at"]
    assert api.get(f"/triggers/{own['id']}")["next_fire_at"] == own["next_fire_at"]
    api.patch(f"/agents/{agent['id']}", {"timezone": None})
    assert api.get(f"/triggers/{follows['id']}")["timezone"] == "UTC"


def test_an_unknown_timezone_is_refused_with_the_nearest_names(api: Api) -> None:
    """Never silently UTC."""
    problem = api.refused(422, "POST", "/agents", agent_body(timezone="Europe/Berlni"))
    assert problem["field"] == "timezone"
    assert "Europe/Berlin" in problem["detail"]


def test_pause_and_resume_are_idempotent_and_keep_a_note(api: Api) -> None:
    """Repeating it without a body changes nothing; a note can be replaced."""
    agent = api.agent()
    path = f"/agents/{agent['id']}"
    paused = api.post(f"{path}/pause", {"note": "holidays"}, 200)
    assert (paused["is_paused"], paused["paused_note"]) == (True, "holidays")
    assert api.post(f"{path}/pause", None, 200) == paused
    assert api.post(f"{path}/pause", {"note": "still"}, 200)["paused_note"] == "still"
    resumed = api.post(f"{path}/resume", None, 200)
    assert (resumed["is_paused"], resumed["paused_note"]) == (False, None)
    assert api.post(f"{path}/resume", None, 200) == resumed
    actions = [event["action"] for event in api.get("/audit", subject_id=agent["id"])["items"]]
    assert actions == ["agent.resumed", "agent.paused", "agent.paused", "agent.created"]


def test_resume_makes_a_held_window_due(api: Api) -> None:
    """Waiting firings are delivered at once."""
    agent = api.agent()
    trigger = api.trigger(agent["id"])
    api.post(f"/agents/{agent['id']}/pause", None, 200)
    invocation_id = api.post(f"/triggers/{trigger['id']}/fire", None, 202)["invocation_id"]
    with api.db.begin() as conn:
        conn.execute(text("UPDATE invocations SET due_at = NULL, held_reason = 'paused'"))
    api.post(f"/agents/{agent['id']}/resume", None, 200)
    window = api.get(f"/invocations/{invocation_id}")
    assert window["held_reason"] is None
    assert window["due_at"] is not None


def test_a_deleted_agent_takes_its_triggers_and_keys_with_it(api: Api) -> None:
    """No trigger, job or key of its own remains; what was recorded stays readable."""
    agent = api.agent()
    trigger = api.trigger(agent["id"])
    hook = api.trigger(agent["id"], "hook", type="webhook", config={})
    key = api.with_key(f"agent:{agent['id']}")
    firing_id = api.post(f"/triggers/{trigger['id']}/fire", None, 202)["firing_id"]
    api.delete(f"/agents/{agent['id']}")
    api.refused(404, "GET", f"/agents/{agent['id']}")
    api.refused(404, "DELETE", f"/agents/{agent['id']}")
    api.refused(404, "GET", f"/triggers/{trigger['id']}")
    assert api.get("/triggers")["items"] == []
    assert api.get("/agents")["items"] == []
    api.refused(404, "POST", "//hooks/" + hook["hook_url"].rsplit("/", 1)[1])
    key.refused(401, "GET", "/agents")
    assert api.get(f"/firings/{firing_id}")["trigger_name"] == "tick"
    with api.db.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM jobs")) == 0
    actions = [event["action"] for event in api.get("/audit", agent_id=agent["id"])["items"]]
    assert actions[0] == "agent.deleted"
    assert actions.count("trigger.deleted") == 2


def stored_secret(api: Api) -> str | None:
    """Returns the secret of the only agent, decrypted."""
    with api.db.begin() as conn:
        blob = conn.scalar(Agent.__table__.select().with_only_columns(Agent.runtime_secret))
    return None if blob is None else api.services.box.decrypt(blob)
