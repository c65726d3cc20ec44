"""What an agent has elsewhere: an A2A agent that runs it, MCP servers whose tools it may use."""

from __future__ import annotations

from typing import Literal

from api.schemas.base import Answer


class A2aRuntimeOut(Answer):
    """An A2A agent; what is sent along to it is not shown, only the names in the agent's `header_names`."""

    kind: Literal["a2a"]
    url: str


class McpServerOut(Answer):
    """An MCP server; its headers are not shown."""

    name: str
    url: str | None = None
    command: str | None = None
