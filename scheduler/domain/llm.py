"""Data types for the models of `llm` agents and the progress of a run, and the usage that a run reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from uuid import UUID

from scheduler.domain.model import Trust
from scheduler.domain.tools import McpServer

DEFAULT_TOOL_ROUNDS = 50
AGENTS_TOOL_ROUNDS = 2
"""The limit when only agents woke the agent, so that two agents do not keep each other busy."""
MILLION = Decimal(1_000_000)
MAX_TOKENS = 10**12
MAX_COST = 10**9
DECIMALS = 12
"""How many decimal places of a cost are kept."""
TOKENS_IN = ("input_tokens", "prompt_tokens")
TOKENS_OUT = ("output_tokens", "completion_tokens")
COST = ("cost", "total_cost", "total_cost_usd", "total_price")
"""The names that APIs use for each, ours first."""
SHOWN = 60


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
class LlmRunSpec:
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
class FinishedCall:
    """A finished tool call, with the result for the model."""

    state: CallState
    result: str


@dataclass(frozen=True, slots=True)
class EarlierAttempts:
    """What earlier attempts of a run did: each response as JSON, and the finished tool calls by key."""

    session_id: UUID
    responses: tuple[str, ...] = ()
    calls: Mapping[str, FinishedCall] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResponseUsage:
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
class ModelTrial:
    """The result of a short test question to a model: a text, or the error."""

    seconds: float
    text: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    error: str | None = None


def read_usage(given: object, *, texts: bool = False) -> tuple[ResponseUsage | None, str | None]:
    """Returns the usage in a `usage` object, and a note on what was not counted.

    With `texts` a number may be written as text, as some APIs do for prices. None means no usage.
    """
    if given is None:
        return None, None
    if not isinstance(given, Mapping):
        return None, f"usage is not an object and was not counted: {_shown(given)}."
    wrong: list[str] = []
    found = [_read(given, names, limit, texts, wrong) for names, limit in _LIMITS]
    spent = ResponseUsage(int(found[0] or 0), int(found[1] or 0), found[2] or Decimal(0))
    note = f"Of usage was not counted: {'; '.join(wrong)}." if wrong else None
    return (spent if any(each is not None for each in found) else None), note


_LIMITS = ((TOKENS_IN, MAX_TOKENS), (TOKENS_OUT, MAX_TOKENS), (COST, MAX_COST))


def _read(
    given: Mapping[str, object], names: tuple[str, ...], limit: int, texts: bool, wrong: list[str]
) -> Decimal | None:
    name = next((each for each in names if given.get(each) is not None), None)
    if name is None:
        return None
    value = given[name]
    number = _number(value, texts=texts)
    if number is None or not 0 <= number <= limit or (names is not COST and number != int(number)):
        wrong.append(f"{name} {_shown(value)}")
        return None
    return round(number, DECIMALS)


def _number(value: object, *, texts: bool) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return Decimal(str(value)) if math.isfinite(value) else None
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if texts and isinstance(value, str):
        try:
            read = Decimal(value.strip())
        except InvalidOperation:
            return None
        return read if read.is_finite() else None
    return None


def _shown(value: object) -> str:
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "an array"
    text = "a number that is too large" if isinstance(value, int) and value > MAX_TOKENS else repr(value)
    if isinstance(value, Decimal):
        text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
