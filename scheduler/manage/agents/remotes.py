"""The MCP servers of an agent: as clients send them, as they are stored, and as their headers are listed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from scheduler.domain.errors import ConfigurationError, InvalidField
from scheduler.domain.json_values import merge_headers
from scheduler.domain.shapes import Shape
from scheduler.net.headers import check_address
from scheduler.runtimes.base import Operator
from scheduler.runtimes.fields import MAX_HEADERS, Url, sendable
from scheduler.runtimes.registry import runtime_of
from scheduler.storage.tables.core import Agent

ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,19}$")]


class McpServer(Shape):
    """An MCP server: streamable HTTP at `url`, or `command`, the name of a program that the operator allows."""

    name: ServerName = Field(description="The prefix of its tools' names.")
    url: Url | None = Field(None, examples=["https://tools.example.org/mcp"])
    command: str | None = Field(None, max_length=200, description="A name in REVEILLE_MCP_COMMANDS.")
    headers: dict[str, str | None] | None = Field(
        None,
        max_length=MAX_HEADERS,
        repr=False,
        description="Sent to `url`; their values are stored encrypted and never shown. Headers of a "
        "server with the same name and url stay unless named here (case-insensitive); null removes one, "
        "an empty object all.",
    )

    _check_headers = field_validator("headers")(sendable)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url is None) == (self.command is None):
            raise ValueError("needs either url or command")
        if self.command is not None and self.headers:
            raise ValueError("headers require a url")
        return self


def unique_names(servers: list[McpServer]) -> list[McpServer]:
    """Refuses two servers with the same name, as their tools would be ambiguous."""
    if len({server.name for server in servers}) < len(servers):
        raise ValueError("must have different names")
    return servers


def mcp_columns(servers: Sequence[McpServer], agent: Agent | None, operator: Operator) -> dict[str, Any]:
    """Returns the columns for an agent's MCP servers.

    A server that keeps its name and URL keeps its headers. Raises InvalidField.
    """
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


def header_names(agent: Agent, operator: Operator) -> dict[str, list[str]]:
    """Returns the names of the sent headers, by field; their values are never shown."""
    found: dict[str, list[str]] = {}
    try:
        runtime = runtime_of(agent.runtime_kind)
        if "headers" in runtime.secrets and agent.runtime_secret is not None:
            found["runtime"] = sorted(
                runtime.unpack(operator.box.decrypt(agent.runtime_secret)).get("headers") or {}
            )
        if agent.mcp_secrets is not None:
            servers = json.loads(operator.box.decrypt(agent.mcp_secrets))
            found |= {f"mcp_servers.{name}": sorted(headers) for name, headers in servers.items()}
    except ConfigurationError:  # encrypted with another key: the code that uses them reports it
        return {}
    return {field: names for field, names in found.items() if names}


def check_count(headers: dict[str, str], field: str) -> dict[str, str]:
    """Returns the headers, unless there are too many together with those that stayed."""
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
            f"The operator allows no MCP server with that name (REVEILLE_MCP_COMMANDS); allowed: {names}.",
            field=f"{field}.command",
        )
