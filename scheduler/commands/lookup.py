"""Resolves names to ids, as the API only accepts ids. An id is used as it is, anything else must be an exact name."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from scheduler.domain.errors import NotFound

if TYPE_CHECKING:
    from scheduler.commands.client import Client


def agent_id(client: Client, text: str) -> str:
    """Returns the id of the agent with this id or name."""
    if _is_id(text):
        return text
    for agent in client.every("agents"):
        if agent["name"] == text:
            return str(agent["id"])
    raise NotFound(f"There is no agent {text!r}; `reveille agents list` shows all agents.")


def agent_names(client: Client) -> dict[str, str]:
    """Returns the name of each agent, by its id."""
    return {str(agent["id"]): str(agent["name"]) for agent in client.every("agents")}


def tenant_id(client: Client, text: str) -> str:
    """Returns the id of the tenant with this id or name; requires an operator's key."""
    if _is_id(text):
        return text
    for tenant in client.every("tenants"):
        if tenant["name"] == text:
            return str(tenant["id"])
    raise NotFound(f"There is no tenant {text!r}; `reveille tenants list` shows all tenants.")


def trigger_id(client: Client, text: str) -> str:
    """Returns the id of the trigger with this id or `AGENT/NAME`; either name may contain a slash."""
    if _is_id(text):
        return text
    for agent in client.every("agents"):
        if not text.startswith(f"{agent['name']}/"):
            continue
        for trigger in client.every("triggers", agent_id=agent["id"]):
            if text == f"{agent['name']}/{trigger['name']}":
                return str(trigger["id"])
    raise NotFound(f"There is no trigger {text!r}; give its id, or AGENT/NAME as `reveille triggers list` shows.")


def checked_id(text: str, what: str) -> str:
    """Returns `text`, which must be an id: invocations and keys have no names."""
    if _is_id(text):
        return text
    raise NotFound(f"There is no {what} {text!r}; give its id.")


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
