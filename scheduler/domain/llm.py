"""Data types for the models of `llm` agents and the progress of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from scheduler.domain.model import Trust
from scheduler.domain.tools import McpServer

DEFAULT_TOOL_ROUNDS = 50
AGENTS_TOOL_ROUNDS = 2
"""The limit when only agents woke the agent, so that two agents do not keep each other busy."""
MILLION = Decimal(1_000_000)


class Provider(StrEnum):
    """The API protocol of a model."""

    OPENAI = "openai"
    OPENAI_COMPATIBLE = "openai-compatible"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model, ready for requests. Its key is in the clear, in the worker's variable `key_env`, or absent.

    Prices are per million tokens.
    """

    name: str
    provider: str
    model: str
    base_url: str | None = None
    key: str | None = field(default=None, repr=False)
    key_env: str | None = None
    max_output_tokens: int | None = None
    input_price: Decimal = Decimal(0)
    output_price: Decimal = Decimal(0)

    def cost(self, tokens_in: int, tokens_out: int) -> Decimal:
        """Returns the cost of so many tokens, in the currency of the prices."""
        return (tokens_in * self.input_price + tokens_out * self.output_price) / MILLION


@dataclass(frozen=True, slots=True)
class Thinking:
    """How to make one run of an `llm` agent.

    `models`: the enabled ones, primary first. `trusts`: those of its firings. `is_among_agents`: only agents woke
    it. `is_asked`: a person waits for its reply. `is_delegated`: another agent waits for its answer. `is_awaited`:
    it was waiting for another agent's answer, which it should pass on to its user in words for people.
    """

    tenant_id: UUID
    models: tuple[ModelSpec, ...]
    title: str
    language: str = "en"
    role: str = ""
    trusts: frozenset[str] = frozenset()
    is_among_agents: bool = False
    is_asked: bool = False
    is_delegated: bool = False
    is_awaited: bool = False
    mcp_servers: tuple[McpServer, ...] = ()
    now: str = ""
    """The local time of the agent, in one line."""
    memory: str = ""
    """The earlier messages of the conversations that wake it."""


class CallState(StrEnum):
    """The state of a tool call. `interrupted`: the run ended first, and the effect of the call is unknown."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A finished tool call, with the result for the model."""

    state: CallState
    result: str


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier attempts of a run did: each response as JSON, and the finished tool calls by key."""

    session_id: UUID
    responses: tuple[str, ...] = ()
    calls: Mapping[str, EndedCall] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spent:
    """The tokens of one response and their cost."""

    tokens_in: int
    tokens_out: int
    cost: Decimal


LOWEST_FIRST = (Trust.UNAUTHENTICATED, Trust.AGENT, Trust.VERIFIED, Trust.SYSTEM)


def allowed_tools(trusts: frozenset[str], by_trust: Mapping[str, list[str]]) -> frozenset[str] | None:
    """Returns the tools that a run may use, None for all: the rule of the lowest of its trusts that has one."""
    for trust in LOWEST_FIRST:
        if trust in trusts and trust in by_trust:
            return frozenset(by_trust[trust])
    return None


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a short test question to a model: a text, or the error."""

    seconds: float
    text: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    error: str | None = None
