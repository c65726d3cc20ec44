"""Models of `llm` agents, and the progress of a run."""

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
"""When agents alone woke the agent: two of them must not keep each other busy."""
MILLION = Decimal(1_000_000)


class Provider(StrEnum):
    """Whose protocol a model speaks."""

    OPENAI = "openai"
    OPENAI_COMPATIBLE = "openai-compatible"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model, ready to be asked. Its key is in the clear, or in the worker's variable `key_env`; or it has none.

    Prices are of a million tokens.
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
        """What so many tokens cost, in the currency of the prices."""
        return (tokens_in * self.input_price + tokens_out * self.output_price) / MILLION


@dataclass(frozen=True, slots=True)
class Thinking:
    """How one run of an `llm` agent is to be made.

    `models`: the enabled ones, the primary first. `trusts`: those of its firings. `is_among_agents`: agents alone woke
    it. `is_asked`: a person waits for its reply. `is_delegated`: another agent waits for its answer. `is_awaited`: it
    waited for another agent's answer, which its user is to hear of in words made for people.
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
    """What time it is where the agent is, in one line."""
    memory: str = ""
    """What was said before in the conversations that wake it."""


class CallState(StrEnum):
    """Where a tool call is. `interrupted`: the run ended before it did, and nobody knows what it has done."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A tool call that is over, with what the model was told."""

    state: CallState
    result: str


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier tries of a run have done: each response whole as JSON, and the ended tool calls by their keys."""

    session_id: UUID
    responses: tuple[str, ...] = ()
    calls: Mapping[str, EndedCall] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens of one response and what they cost."""

    tokens_in: int
    tokens_out: int
    cost: Decimal


LOWEST_FIRST = (Trust.UNAUTHENTICATED, Trust.AGENT, Trust.VERIFIED, Trust.SYSTEM)


def allowed_tools(trusts: frozenset[str], by_trust: Mapping[str, list[str]]) -> frozenset[str] | None:
    """The names of the tools that a run may use, None for all: as set for the lowest of its trusts that has a rule."""
    for trust in LOWEST_FIRST:
        if trust in trusts and trust in by_trust:
            return frozenset(by_trust[trust])
    return None


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one short question to a model: a text, or why there is none."""

    seconds: float
    text: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    error: str | None = None
