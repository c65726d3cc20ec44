"""Tools that an agent may call while it runs, whether its model is ours (`llm`) or it runs elsewhere (MCP)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ToolCaller:
    """The agent for which a tool is called.

    `invocation_id` is the running invocation, None for a call from outside.
    """

    tenant_id: UUID
    agent_id: UUID
    invocation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. `call` blocks (database work), so an asynchronous caller runs it in a thread.

    `schema` is the JSON Schema of the arguments. `call` checks them itself and raises a ReveilleError whose
    message tells the model what to do instead. It returns a JSON value, or, for the tools of MCP servers, an
    awaitable for the run's event loop.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    call: Callable[[ToolCaller, Mapping[str, Any]], Any]
    result_schema: Mapping[str, Any] | None = None
    """The JSON Schema of the result; None when unknown."""
    hints: Mapping[str, bool] = field(default_factory=dict)
    """Hints for clients in MCP's terms: `readOnlyHint`, `destructiveHint`, …"""


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server that provides tools to an agent: streamable HTTP at `url` with `headers`, or the operator's
    `command`.
    """

    name: str
    url: str | None = None
    command: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
