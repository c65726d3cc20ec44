"""What of an agent lies elsewhere, as columns of `agents`: addresses to be read, and what is secret encrypted."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from scheduler.domain.errors import ConfigurationError, InvalidField
from scheduler.domain.model import RuntimeKind
from scheduler.manage.runtime_shapes import MAX_HEADERS, A2aRuntime, McpServer
from scheduler.net.policy import AllowedPrivate, origin_of
from scheduler.net.request_checks import check_address
from scheduler.storage.secrets import SecretBox
from scheduler.triggers.base import merge_headers


@dataclass(frozen=True, slots=True)
class Operator:
    """What the operator allows agents to run and to reach, and the box that keeps their secrets."""

    box: SecretBox
    allow_private: AllowedPrivate
    commands: Collection[str]
    mcp_commands: Collection[str]


def a2a_columns(runtime: A2aRuntime, operator: Operator) -> dict[str, Any]:
    """A whole new A2A runtime. Raises InvalidField."""
    check_address(runtime.url, "runtime.url", operator.allow_private)
    return _a2a(runtime.url, _secrets(runtime), operator)


def patched_a2a_columns(
    runtime: A2aRuntime, patch: Mapping[str, Any], agent: Row[Any], operator: Operator
) -> dict[str, Any]:
    """A changed A2A runtime: of `secret` and of each header, what `patch` does not name stays. Raises InvalidField."""
    check_address(runtime.url, "runtime.url", operator.allow_private)
    held = {} if agent.runtime_secret is None else json.loads(operator.box.decrypt(agent.runtime_secret))
    kept = {name: value for name, value in held.items() if name not in patch and value}
    if patch.get("headers") is not None:
        kept["headers"] = merge_headers(held.get("headers") or {}, dict.fromkeys(patch["headers"]))
    kept = {name: value for name, value in kept.items() if value}
    # Whoever may change an agent may not therefore read its secrets, by having them sent elsewhere.
    if kept and origin_of(agent.runtime["url"]) != origin_of(runtime.url):
        raise InvalidField(
            f"The url is on another host, which is not given the old {' and '.join(kept)}; give them again, or null.",
            field="runtime.url",
        )
    given = _secrets(runtime)
    given["headers"] = check_count(kept.pop("headers", {}) | given["headers"], "runtime.headers")
    return _a2a(runtime.url, given | kept, operator)


def mcp_columns(servers: Sequence[McpServer], agent: Row[Any] | None, operator: Operator) -> dict[str, Any]:
    """An agent's MCP servers; the headers of one that keeps its name and url stay. Raises InvalidField."""
    old = {server["name"]: server for server in agent.mcp_servers} if agent is not None else {}
    stored = None if agent is None or agent.mcp_secrets is None else operator.box.decrypt(agent.mcp_secrets)
    old_headers = json.loads(stored) if stored else {}
    headers: dict[str, dict[str, str]] = {}
    for index, server in enumerate(servers):
        _check_server(server, f"mcp_servers.{index}", operator)
        same = old.get(server.name, {}).get("url") == server.url
        held = old_headers.get(server.name, {}) if same and server.headers != {} else {}
        sent = check_count(merge_headers(held, server.headers or {}), f"mcp_servers.{index}.headers")
        if sent and server.url is not None:
            headers[server.name] = sent
    shown = [server.model_dump(include={"name", "url", "command"}, exclude_none=True) for server in servers]
    return {
        "mcp_servers": shown,
        "mcp_secrets": operator.box.encrypt(json.dumps(headers)) if headers else None,
    }


def header_names(agent: Row[Any], operator: Operator) -> dict[str, list[str]]:
    """The names of the headers that are sent along, by field: their values are never shown."""
    found: dict[str, list[str]] = {}
    try:
        if agent.runtime_kind == RuntimeKind.A2A and agent.runtime_secret is not None:
            found["runtime"] = sorted(json.loads(operator.box.decrypt(agent.runtime_secret)).get("headers") or {})
        if agent.mcp_secrets is not None:
            servers = json.loads(operator.box.decrypt(agent.mcp_secrets))
            found |= {f"mcp_servers.{name}": sorted(headers) for name, headers in servers.items()}
    except ConfigurationError:  # sealed with another key: what uses them says so
        return {}
    return {field: names for field, names in found.items() if names}


def check_count(headers: dict[str, str], field: str) -> dict[str, str]:
    """The headers, unless they are too many with those that stayed."""
    if len(headers) > MAX_HEADERS:
        raise InvalidField(
            f"That makes {len(headers)} headers; {MAX_HEADERS} are allowed. Remove some by null.", field=field
        )
    return headers


def _check_server(server: McpServer, field: str, operator: Operator) -> None:
    allowed = operator.mcp_commands
    if server.url is not None:
        check_address(server.url, f"{field}.url", operator.allow_private)
    elif server.command not in allowed:
        names = ", ".join(sorted(allowed)) or "none"
        raise InvalidField(
            f"The operator allows no MCP server of that name (REVEILLE_MCP_COMMANDS); allowed: {names}.",
            field=f"{field}.command",
        )


def _secrets(runtime: A2aRuntime) -> dict[str, Any]:
    return {"secret": runtime.secret, "headers": runtime.headers or {}}


def _a2a(url: str, secrets: Mapping[str, Any], operator: Operator) -> dict[str, Any]:
    sealed = operator.box.encrypt(json.dumps(secrets)) if any(secrets.values()) else None
    return {"runtime_kind": "a2a", "runtime": {"url": url}, "runtime_secret": sealed}
