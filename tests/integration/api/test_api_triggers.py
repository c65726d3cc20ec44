"""Triggers through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from scheduler.domain.clock import SystemClock
from tests.support.api import Api, running_api, trigger_body

YEAR = timedelta(days=365)


def later(delta: timedelta) -> str:
    """Returns a moment relative to now, as the API shows times."""
    moment = (SystemClock().now() + delta).replace(microsecond=0)
    return moment.isoformat().replace("+00:00", "Z")


def test_a_trigger_is_answered_whole_and_found_again(api: Api) -> None:
    """Created with 201 and Location, then the same by id, by agent and in the list."""
    agent = api.agent(timezone="Europe/Berlin")
    body = {
        "name": "standup",
        "type": "cron",
        "config": {"expr": "0 9 * * mon-fri"},
        "reason": "Prepare the stand-up.",
        "focus_ref": "project:x",
        "urgent": True,
        "max_fires": 5,
        "cooldown_seconds": 0,
        "expires_at": later(YEAR),
        "misfire_policy": "skip",
        "grace_seconds": 5,
    }
    response = api.call("POST", f"/agents/{agent['id']}/triggers", body)
    trigger = api.ok(response, 201)
    assert response.headers["Location"] == f"/api/v1/triggers/{trigger['id']}"
    assert {name: trigger[name] for name in body} == body
    assert trigger["timezone"] == "Europe/Berlin"
    assert (trigger["is_enabled"], trigger["fire_count"], trigger["last_fired_at"]) == (True, 0, None)
    assert (trigger["paused_note"], trigger["hook_url"]) == (None, None)
    assert datetime.fromisoformat(trigger["next_fire_at"]) > SystemClock().now()
    assert trigger["next_fire_at"].endswith("Z")
    for path in ("/triggers", f"/agents/{agent['id']}/triggers"):
        assert api.get(path) == {"items": [trigger], "next": None}
    assert api.get("/triggers", agent_id=agent["id"])["items"] == [trigger]
    whole = {"acks": {"handled": 0, "deferred": 0, "ignored": 0}, "header_names": []}
    assert api.get(f"/triggers/{trigger['id']}") == trigger | whole


def test_a_past_once_is_created_if_that_is_allowed(api: Api) -> None:
    """`allow_past` fires at once."""
    agent = api.agent()
    config = {"at": "2001-01-01T00:00:00Z", "allow_past": True}
    assert api.trigger(agent["id"], type="once", config=config)["next_fire_at"] == "2001-01-01T00:00:00Z"


def test_an_agents_triggers_have_a_limit_and_unique_names(api: Api) -> None:
    """409 beyond max_triggers and for a name that is in use; a deleted one frees both."""
    agent = api.agent(max_triggers=1)
    path = f"/agents/{agent['id']}/triggers"
    trigger = api.post(path, trigger_body("one"))
    assert api.refused(409, "POST", path, trigger_body("two"))["field"] == "max_triggers"
    api.patch(f"/agents/{agent['id']}", {"max_triggers": 2})
    assert api.refused(409, "POST", path, trigger_body("one"))["field"] == "name"
    api.delete(f"/triggers/{trigger['id']}")
    api.refused(404, "DELETE", f"/triggers/{trigger['id']}")
    api.post(path, trigger_body("one"))


def test_a_patch_merges_and_keeps_what_must_not_be_lost(api: Api) -> None:
    """The config is merged and validated as at creation; count and hook stay."""
    agent = api.agent()
    config = {"signature": {"scheme": "github", "secret": "s3cret-s3cret"}}
    hook = api.trigger(agent["id"], type="webhook", config=config)
    assert hook["config"] == {"signature": {"scheme": "github"}}
    path = f"/triggers/{hook['id']}"
    changed = api.patch(path, {"reason": "new", "config": {"signature": {"tolerance_seconds": None}}})
    assert changed["reason"] == "new"
    assert changed["hook_url"] is None
    problem = api.refused(422, "PATCH", path, {"config": {"signature": {"scheme": "nope"}}})
    assert problem["field"] == "config.signature.scheme"
    token = hook["hook_url"].rsplit("/", 1)[1]
    api.refused(401, "POST", f"//hooks/{token}", data=b"unsigned")
    assert api.refused(422, "PATCH", path, {"type": "cron"})["field"] == "type"
    assert api.refused(422, "PATCH", path, {"name": None})["field"] == "name"
    assert api.refused(422, "PATCH", path, {"next_fire_at": None})["field"] == "next_fire_at"
    assert api.patch(path, {"is_enabled": False})["is_enabled"] is False


def test_a_trigger_is_paused_and_resumed(api: Api) -> None:
    """200 with the trigger, idempotent, with and without a body."""
    agent = api.agent()
    path = f"/triggers/{api.trigger(agent['id'])['id']}"
    paused = api.post(f"{path}/pause", {"note": "broken"}, 200)
    assert (paused["is_enabled"], paused["paused_note"], paused["next_fire_at"]) == (False, "broken", None)
    assert api.post(f"{path}/pause", None, 200) == paused
    api.refused(409, "POST", f"{path}/fire")
    resumed = api.post(f"{path}/resume", None, 200)
    assert (resumed["is_enabled"], resumed["paused_note"]) == (True, None)
    assert api.post(f"{path}/resume", None, 200) == resumed


def test_fire_counts_and_ends_with_max_fires(api: Api) -> None:
    """202 with the firing and its invocation; 409 when it may not fire any more."""
    agent = api.agent()
    trigger = api.trigger(agent["id"], max_fires=2)
    path = f"/triggers/{trigger['id']}"
    first = api.post(f"{path}/fire", None, 202)
    second = api.post(f"{path}/fire", None, 202)
    assert first["invocation_id"] == second["invocation_id"]
    assert first["firing_id"] != second["firing_id"]
    fired = api.get(path)
    assert (fired["fire_count"], fired["is_enabled"], fired["paused_note"]) == (2, False, "max_fires")
    api.refused(409, "POST", f"{path}/fire")


def test_a_hook_url_is_shown_once_and_can_be_rotated(api: Api) -> None:
    """At creation and rotation; afterwards the old one is unknown."""
    agent = api.agent()
    trigger = api.trigger(agent["id"], type="webhook", config={})
    old = trigger["hook_url"]
    assert old.startswith("http://localhost/hooks/")
    path = f"/triggers/{trigger['id']}"
    assert api.get(path)["hook_url"] is None
    assert api.get("/triggers")["items"][0]["hook_url"] is None
    new = api.post(f"{path}/rotate-token", None, 200)["hook_url"]
    assert new != old
    api.refused(404, "POST", old.removeprefix("http://localhost").replace("/", "//", 1), data=b"x")
    api.ok(api.call("POST", new.removeprefix("http://localhost").replace("/", "//", 1), data=b"x"), 202)
    api.refused(409, "POST", f"/triggers/{api.trigger(agent['id'], 'other')['id']}/rotate-token")


def test_hook_urls_start_with_the_public_url(database_url: str) -> None:
    """REVEILLE_PUBLIC_URL, since the application cannot know its address."""
    with running_api(database_url, public_url="https://wake.example.org/base") as api:
        trigger = api.trigger(api.agent()["id"], type="webhook", config={})
        assert trigger["hook_url"].startswith("https://wake.example.org/base/hooks/")


def test_a_config_is_previewed(api: Api) -> None:
    """Local times with offset and the effect of clock changes; the config's own zone takes precedence; else UTC."""
    body = {
        "type": "cron",
        "config": {"expr": "30 2 * * *"},
        "timezone": "Europe/Berlin",
        "after": "2030-03-30T12:00:00",
        "count": 2,
    }
    shown = api.post("/triggers/preview", body, 200)
    assert shown["fire_times"] == ["2030-03-31T03:00:00+02:00", "2030-04-01T02:30:00+02:00"]
    assert [(note["at"], note["kind"]) for note in shown["notes"]] == [("2030-03-31T03:00:00+02:00", "moved")]
    own = body | {"config": {"expr": "0 9 * * *", "timezone": "Asia/Tokyo"}}
    assert api.post("/triggers/preview", own, 200)["fire_times"][0] == "2030-03-31T09:00:00+09:00"
    plain = {"type": "cron", "config": {"expr": "0 9 * * *"}, "after": "2030-01-01T09:00:00Z", "count": 1}
    assert api.post("/triggers/preview", plain, 200)["fire_times"] == ["2030-01-02T09:00:00+00:00"]
    assert len(api.post("/triggers/preview", {"type": "interval"}, 200)["fire_times"]) == 5
    assert api.get("/triggers")["items"] == []


def test_preview_of_a_trigger_counts_from_its_own_grid(api: Api) -> None:
    """Its zone and its interval's anchor, paused or not."""
    agent = api.agent(timezone="Asia/Tokyo")
    trigger = api.trigger(agent["id"])
    path = f"/triggers/{trigger['id']}"
    shown = api.get(f"{path}/preview", count=2)["fire_times"]
    assert datetime.fromisoformat(shown[0]).astimezone(UTC) == datetime.fromisoformat(trigger["next_fire_at"])
    assert shown[0].endswith("+09:00")
    api.post(f"{path}/pause", None, 200)
    assert api.get(f"{path}/preview", count=2)["fire_times"] == shown
    assert api.refused(422, "GET", f"{path}/preview", query_string={"count": "0"})["field"] == "count"


def test_a_webhooks_deliveries_are_listed(api: Api) -> None:
    """Every call with its verdict, newest first, page by page."""
    agent = api.agent()
    trigger = api.trigger(agent["id"], type="webhook", config={})
    token = trigger["hook_url"].rsplit("/", 1)[1]
    for body in (b"one", b"two"):
        api.ok(api.call("POST", f"//hooks/{token}", data=body, headers={"Idempotency-Key": body.decode()}), 202)
    again = api.ok(api.call("POST", f"//hooks/{token}", data=b"two", headers={"Idempotency-Key": "two"}), 202)
    assert again["duplicate"] is True
    path = f"/triggers/{trigger['id']}/deliveries"
    first = api.get(path, limit=2)
    rest = api.get(path, limit=2, after=first["next"])
    verdicts = [item["verdict"] for item in first["items"] + rest["items"]]
    assert verdicts == ["duplicate", "accepted", "accepted"]
    assert rest["items"][0]["delivery_key"].endswith("one")
    assert rest["next"] is None
    assert all(item["size"] == 3 for item in first["items"])


def test_a_trigger_of_a_paused_scheduler_is_only_rows(api: Api) -> None:
    """The web process writes trigger and job in one transaction and creates no scheduler."""
    trigger = api.trigger(api.agent()["id"])
    with api.db.begin() as conn:
        job = conn.execute(text("SELECT trigger_id, kind FROM jobs")).one()
    assert (str(job.trigger_id), job.kind) == (trigger["id"], "fire")
