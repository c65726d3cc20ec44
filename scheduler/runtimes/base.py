"""What a runtime is, and what it is made from. The shapes themselves are the domain's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scheduler.domain.clock import Clock
from scheduler.domain.run import Accepted, Failed, Outcome, Replied, RunRequest, Runtime, RuntimeSpec
from scheduler.domain.text import MAX_REPLY_BYTES
from scheduler.domain.tools import Tool
from scheduler.invocations.transcripts import Journal
from scheduler.net.client import GuardedClient
from scheduler.storage.remote_tasks import RemoteTasks

__all__ = [
    "MAX_REPLY_BYTES",
    "Accepted",
    "Factory",
    "Failed",
    "Outcome",
    "Replied",
    "RunRequest",
    "Runtime",
    "RuntimeParts",
    "RuntimeSpec",
]


@dataclass(frozen=True, slots=True)
class RuntimeParts:
    """What a worker's runtimes share. `commands` is the operator's allow-list: name to program and arguments."""

    client: GuardedClient
    clock: Clock
    commands: Mapping[str, Sequence[str]]
    tools: Sequence[Tool] = ()
    """What an agent may call while it runs."""
    remote_tasks: RemoteTasks | None = None
    """Where the `a2a` runtime keeps its tasks; without it a retry sends again."""
    journal: Journal | None = None
    """Where the `llm` runtime writes down what it does; it cannot run without."""
    read_variable: Callable[[str], str | None] = lambda _: None
    """A variable of the environment, where the key of a model may be."""
    mcp_commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The operator's allow-list of MCP servers that are programs: name to program and arguments."""


Factory = Callable[[RuntimeSpec, RuntimeParts], Runtime]
"""Makes the runtime of one agent. Raises ConfigurationError when its settings cannot be run."""
