"""Agents: who is woken, by which runtime, within which limits and budgets; their notes and focuses."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from api.schemas.base import (
    Answer,
    Expected,
    InvocationsPerHour,
    Listed,
    Moment,
    Name,
    Text,
    Time,
    TokensPerDay,
    Zone,
    id_of,
    no_defaults,
)
from api.schemas.runtimes import AnyRuntimeOut
from scheduler.domain.budgets import DEFAULT_INVOCATIONS_PER_HOUR, DEFAULT_TOKENS_PER_DAY, Budget, Owner, Spending
from scheduler.domain.shapes import Shape
from scheduler.invocations.budgets import BudgetState
from scheduler.manage.agents.remotes import McpServer, unique_names
from scheduler.manage.agents.service import NewAgent
from scheduler.manage.row_errors import MOST_ROWS
from scheduler.runtimes.registry import AnyRuntime
from scheduler.storage.notes import MOST_CHARACTERS


class AgentSettings(Shape):
    """The settings that can be given at creation and changed later."""

    role_description: Text = ""
    language: Literal["en", "zh"] = "en"
    timezone: Zone | None = Field(None, description="The default for its triggers; null: the tenant's.")
    dedup_delay_seconds: float = Field(30.0, ge=0, le=3600, description="How long its window stays open.")
    max_batch: int = Field(100, ge=1, le=1000, description="This many firings close a window early.")
    timeout_seconds: int = Field(600, ge=1, le=86_400)
    max_triggers: int | None = Field(None, ge=0, le=10_000, description="Null: the tenant's.")
    min_poll_interval_min: int | None = Field(None, ge=1, le=525_600, description="Null: the tenant's.")
    webhook_rate_limit: int | None = Field(
        None, ge=0, le=1_000_000, description="The maximum deliveries per minute and webhook; null: the tenant's."
    )
    max_tokens_per_day: TokensPerDay | None = Field(
        DEFAULT_TOKENS_PER_DAY, description="Null: only the tenant's limit. Default: 1,000,000."
    )
    max_invocations_per_hour: InvocationsPerHour | None = Field(
        DEFAULT_INVOCATIONS_PER_HOUR, description="Null: only the tenant's limit. Default: 600."
    )
    expect_wake_within: Expected = Field(
        None,
        description="An alert opens when it is not woken for this long: seconds, or a text such as 90m or 1d.",
    )
    expires_at: Moment | None = None
    mcp_servers: Annotated[list[McpServer], AfterValidator(unique_names)] = Field(
        default_factory=list,
        max_length=10,
        description="MCP servers whose tools an llm agent gets besides the built-in ones.",
    )
    approve_triggers: bool = Field(
        False, description="Whether triggers that the agent itself creates or changes need approval."
    )
    public_card: bool = Field(False, description="Whether its A2A card is readable without a key.")


class AgentIn(AgentSettings):
    """A new agent. It gets default budgets unless they are null."""

    name: Name
    runtime: AnyRuntime

    def spec(self) -> NewAgent:
        """Returns the service's input."""
        return NewAgent(self.model_dump(exclude={"runtime", "mcp_servers"}), self.runtime, self.mcp_servers)


class AgentsIn(Shape):
    """New agents, created all or none."""

    items: list[AgentIn] = Field(min_length=1, max_length=MOST_ROWS)


class AgentPatch(AgentSettings):
    """JSON Merge Patch (RFC 7396): omitted fields stay."""

    model_config = ConfigDict(json_schema_extra=no_defaults)

    name: Name = ""
    runtime: dict[str, Any] = Field(
        default_factory=dict, description="Merged into the runtime, or a complete one of another kind."
    )


class McpServerOut(Answer):
    """An MCP server without its headers."""

    name: str
    url: str | None = None
    command: str | None = None


class AgentOut(Answer):
    """An agent."""

    id: UUID
    tenant_id: UUID
    name: str
    runtime: AnyRuntimeOut
    role_description: str
    language: str
    timezone: str | None
    dedup_delay_seconds: float
    max_batch: int
    timeout_seconds: int
    max_triggers: int
    min_poll_interval_min: int
    webhook_rate_limit: int
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None
    is_paused: bool
    paused_note: str | None
    expect_wake_within: float | None
    expires_at: Time | None
    mcp_servers: list[McpServerOut]
    header_names: dict[str, list[str]] = Field(
        default_factory=dict,
        description="The names of sent headers, by `runtime` and `mcp_servers.NAME`; their values are "
        "never shown.",
    )
    approve_triggers: bool
    public_card: bool
    created_at: Time
    updated_at: Time


class AgentsMade(Answer):
    """The created agents, in the order of the request."""

    items: list[AgentOut]


class AgentPage(Listed[AgentOut]):
    """A page of agents."""


class AgentPath(Shape):
    """Identifies an agent."""

    agent_id: Annotated[UUID, id_of("agent")]


class FocusOut(Answer):
    """A focus: how many triggers belong to it, and how many of them are enabled."""

    focus_ref: str
    triggers: int
    enabled: int


class FocusPage(Listed[FocusOut]):
    """The focuses of an agent's triggers, up to 1,000, alphabetically."""


class FocusPath(Shape):
    """Identifies a focus."""

    agent_id: Annotated[UUID, id_of("agent")]
    focus_ref: str


class NotesIn(Shape):
    """The new notes."""

    text: Annotated[str, StringConstraints(max_length=MOST_CHARACTERS)]


class NotesOut(Answer):
    """An agent's notes; empty and without an author until something is written."""

    text: str
    updated_at: Time | None
    updated_by: str | None = Field(description="`agent:ID` for the agent itself, `key:NAME`, `user:NAME`.")
    most: int = Field(description="The maximum number of characters.")


class SpendingOut(Answer):
    """The usage of one budget; `limit` null: unlimited."""

    used: int
    limit: int | None


class BudgetOut(Answer):
    """An agent's budgets. A day is a calendar day in the owner's zone; an hour is the last 60 minutes."""

    tokens_per_day: SpendingOut
    invocations_per_hour: SpendingOut
    tenant_tokens_per_day: SpendingOut | None = Field(
        description="The limit for all the tenant's agents; null: no limit."
    )
    tenant_invocations_per_hour: SpendingOut | None = Field(
        description="The limit for all the tenant's agents; null: no limit."
    )
    held_until: Time | None = Field(description="Until when the agent's window is held for a spent budget.")
    note: str | None = Field(description="The spent budget.")


class AgentWhole(AgentOut):
    """An agent with its usage."""

    budget: BudgetOut


def budget_of(state: BudgetState) -> BudgetOut:
    """Formats a budget state for the API."""
    found = {(each.owner, each.budget): each for each in state.spendings}
    return BudgetOut(
        tokens_per_day=SpendingOut.model_validate(found[Owner.AGENT, Budget.TOKENS]),
        invocations_per_hour=SpendingOut.model_validate(found[Owner.AGENT, Budget.INVOCATIONS]),
        tenant_tokens_per_day=_limited(found.get((Owner.TENANT, Budget.TOKENS))),
        tenant_invocations_per_hour=_limited(found.get((Owner.TENANT, Budget.INVOCATIONS))),
        held_until=state.held_until,
        note=state.note,
    )


def _limited(spending: Spending | None) -> SpendingOut | None:
    return None if spending is None or spending.limit is None else SpendingOut.model_validate(spending)
