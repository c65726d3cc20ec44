"""Tools: what an agent may call while it runs, whether the model is ours (`llm`) or the agent lives elsewhere (MCP)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ToolCaller:
    """On whose behalf a tool is called. The invocation is that which is running, None for a call from outside."""

    tenant_id: UUID
    agent_id: UUID
    invocation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. `call` blocks (database work) and belongs in a thread when the caller is asynchronous.

    `schema` is the JSON Schema of the arguments. `call` checks them itself and raises a ReveilleError whose message
    says what to do instead, for a model reads it. What it returns can be written as JSON, or is an awaitable of that,
    for the event loop of the run: so it is for the tools of MCP servers.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    call: Callable[[ToolCaller, Mapping[str, Any]], Any]
    result_schema: Mapping[str, Any] | None = None
    """The JSON Schema of what it returns; None where that is not known."""
    hints: Mapping[str, bool] = field(default_factory=dict)
    """What a client may want to know before it calls, as MCP names it: `readOnlyHint`, `destructiveHint`, …"""


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server whose tools an agent has: at `url` by streamable HTTP, with `headers`, or the operator's `command`."""

    name: str
    url: str | None = None
    command: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
