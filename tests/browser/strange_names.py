"""An installation with names as long and unusual as allowed, and one path for each of its pages."""

from __future__ import annotations

from uuid import UUID

from scheduler.domain.model import InvocationState
from scheduler.domain.run import Failed
from tests.support.api import Api
from tests.support.database import change
from tests.support.hooks import Hook
from tests.support.invocations import AgentWithTrigger, bring_to, close, end, start

MOST = 200
LONG = "W" * MOST
MARKED = "Z\u0341\u0324\u0316\u033c\u031f\u035a\u0348" * (MOST // 8)
RIGHT_TO_LEFT = "\u0645\u0631\u0627\u0642\u0628\u0629\u0627\u0644\u062e\u0627\u062f\u0645" * (MOST // 13)
NAMES = ("ada", MARKED, RIGHT_TO_LEFT, LONG)
KINDS: dict[str, dict[str, object]] = {
    "webhook": {},
    "cron": {"expr": "*/10 * * * *"},
    "poll": {"url": f"https://status.example.org/{'p' * 300}", "json_path": "$.status"},
    "once": {"at": "2130-01-31T09:00:00Z"},
    "on_message": {"from_user": "grace"},
    "interval": {"minutes": 3},
}


def play(api: Api) -> dict[str, str]:
    """Creates all of it; returns the paths' parameters, each with an example."""
    ids: dict[str, str] = {}
    api.post("/users", {"name": "grace"})
    for number, name in enumerate(NAMES):
        agent = api.agent(name, dedup_delay_seconds=0, role_description=name)
        about = {"cooldown_seconds": 0, "reason": name, "focus_ref": name}
        triggers = {
            kind: api.trigger(agent["id"], name[len(kind) :] + kind, type=kind, config=config, **about)
            for kind, config in KINDS.items()
        }
        _happen(api, Hook(api, triggers["webhook"]), number)
        api.post(f"/triggers/{triggers['cron']['id']}/pause", {"note": name}, status=200)
        ids |= {"agent_id": agent["id"]} | {kind: each["id"] for kind, each in triggers.items()}
        _belongings(api, agent["id"], name)
    change(api.db, "UPDATE triggers SET approval = 'awaiting', is_enabled = false WHERE type = 'once'")
    ids["trigger_id"] = ids["webhook"]
    ids["key_id"] = api.get("/api-keys")["items"][0]["id"]
    ids["target_id"] = api.get(f"/agents/{ids['agent_id']}/notification-targets")["items"][0]["id"]
    ids["model_id"] = api.get("/models")["items"][0]["id"]
    for one in ("invocation", "firing", "session"):
        ids[f"{one}_id"] = api.get(f"/{one}s")["items"][0]["id"]
    ids["delivery_id"] = api.get(f"/triggers/{ids['webhook']}/deliveries")["items"][0]["id"]
    ids["message_id"] = api.get(f"/sessions/{ids['session_id']}/messages")["items"][0]["id"]
    return ids


def _happen(api: Api, hook: Hook, number: int) -> None:
    """Creates a failed invocation, an open one, and a refused delivery."""
    trigger = hook.trigger
    hook.accepted(trigger["name"].encode(), content_type="text/plain")
    for invocation_id in close(api.db).ready:
        end(api.db, start(api.db, invocation_id), Failed(trigger["name"], permanent=True))
    if number:
        hook.accepted(trigger["name"].encode(), content_type="text/plain")
    else:
        bring_to(api.db, AgentWithTrigger(UUID(trigger["agent_id"]), UUID(trigger["id"])), InvocationState.RUNNING)


def _belongings(api: Api, agent_id: str, name: str) -> None:
    api.post("/users", {"name": name})
    api.post("/messages", {"from": {"type": "user", "name": name}, "to_agent_id": agent_id, "text": name})
    api.post("/models", {"name": name, "provider": "openai", "model": "m" * 200, "key": "sk-of-a-test"})
    api.post("/api-keys", {"name": name, "scopes": ["read"]})
    target = {"name": name, "kind": "webhook", "url": "https://192.0.2.1.invalid/path"}
    api.post(f"/agents/{agent_id}/notification-targets", target)
    api.tenant(name)
