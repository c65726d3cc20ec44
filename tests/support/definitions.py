"""Definitions to apply, and short forms of what an apply answers."""

from __future__ import annotations

from typing import Any

from tests.support.api import Caller


def definitions(**changes: Any) -> dict[str, Any]:
    """A bit of everything."""
    return {
        "models": [{"name": "small", "provider": "openai", "model": "m-1", "key": "sk-secret-1"}],
        "agents": [
            {
                "name": "ada",
                "runtime": {"kind": "http", "url": "https://a.example/wake", "headers": {"X-Key": "hush-header"}},
                "timezone": "Europe/Berlin",
                "max_triggers": 20,
                "mcp_servers": [{"name": "t", "url": "https://t.example/mcp", "headers": {"Y": "hush-mcp"}}],
            },
            {"name": "bob", "runtime": {"kind": "llm", "model": "small"}, "max_tokens_per_day": None},
        ],
        "triggers": [
            {
                "agent": "ada",
                "name": "rounds",
                "type": "cron",
                "config": {"expr": "0 22 * * mon-fri"},
                "urgent": True,
            },
            {
                "agent": "ada",
                "name": "push",
                "type": "webhook",
                "config": {"signature": {"scheme": "github", "secret": "hush-signature"}},
            },
            {"agent": "bob", "name": "letters", "type": "on_message", "config": {"from_agent": "ada"}},
        ],
        "targets": [{"agent": "ada", "name": "ops", "kind": "webhook", "url": "https://o.example/hush-path"}],
    } | changes


def apply(tenant: Caller, body: dict[str, Any], **options: object) -> Any:
    return tenant.post("/definitions", body | options, status=200)


def said(answer: Any) -> list[str]:
    """What an apply changes, in short."""
    return [f"{each['action']} {each['kind']} {each['name']}" for each in answer["changes"]]


def flat(exported: Any) -> dict[str, Any]:
    """An export as a request, with its secrets left to what is stored."""
    nested: dict[str, list[Any]] = {"triggers": [], "targets": [], "channels": []}
    for agent in exported["agents"]:
        for section, items in nested.items():
            items += [each | {"agent": agent["name"]} for each in agent.pop(section, [])]
    return dict(unset({"models": exported["models"], "agents": exported["agents"], **nested}))


def unset(value: Any) -> Any:
    if isinstance(value, dict):
        return {"$kept": "unset"} if value.keys() == {"env"} else {k: unset(v) for k, v in value.items()}
    return [unset(each) for each in value] if isinstance(value, list) else value


def id_of(tenant: Caller, what: str, name: str) -> str:
    (found,) = (each["id"] for each in tenant.get(f"/{what}")["items"] if each["name"] == name)
    return str(found)
