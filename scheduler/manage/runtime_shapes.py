"""What is told of an agent's runtime and of its MCP servers, as clients send it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, TypeAdapter, field_validator, model_validator

from scheduler.domain.errors import InvalidField
from scheduler.domain.llm import DEFAULT_TOOL_ROUNDS
from scheduler.domain.shapes import Shape
from scheduler.net.headers import check_headers, check_names_differ

Secret = Annotated[str, StringConstraints(min_length=1, max_length=200)]
BodyId = Annotated[UUID, Field(strict=False)]
TrustName = Literal["unauthenticated", "agent", "verified", "system"]
ToolNames = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(max_length=200)]
MAX_HEADERS = 20
Bearer = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
Headers = Mapping[str, str | None] | None
ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,19}$")]


def _headers(value: Headers) -> Headers:
    try:
        check_headers({name: each or "" for name, each in (value or {}).items()})
        check_names_differ(value or {})
    except InvalidField as error:
        raise ValueError(error.message) from None
    return value


class HttpRuntime(Shape):
    """Woken by a POST to `url`, signed by Standard Webhooks with `secret` (made when left out, and shown once)."""

    kind: Literal["http"]
    url: str = Field(max_length=8192, examples=["https://agent.example.org/wake"])
    secret: Secret | None = Field(None, repr=False)
    accepted: Literal["done", "awaits"] | None = Field(
        None,
        description="What its 202 means: the work is done, or a report will come. Null: a report may come; "
        "an agent that never sent one is taken for done at its deadline.",
    )


class CommandRuntime(Shape):
    """Woken by running the program that the operator allows under this name (`REVEILLE_COMMANDS`)."""

    kind: Literal["command"]
    name: str = Field(max_length=200)


class LlmRuntime(Shape):
    """Thinks with a model, and acts by tools. `fallback_model_id` is asked when the first one fails."""

    kind: Literal["llm"]
    model_id: BodyId
    fallback_model_id: BodyId | None = None
    instructions: str = Field("", max_length=50_000, description="What it is told beside its role_description.")
    tool_rounds: int = Field(
        DEFAULT_TOOL_ROUNDS, ge=0, le=500, description="Responses of a run that may call tools."
    )
    tools_by_trust: dict[TrustName, ToolNames] = Field(
        default_factory=dict,
        description="The tools that are left to a run whose least trusted firing has that trust. Left out: all.",
        examples=[{"unauthenticated": ["list_triggers"]}],
    )


class A2aRuntime(Shape):
    """Woken by a message to the A2A agent whose card is at `url` + `/.well-known/agent-card.json`.

    `secret` is sent as a bearer token, `headers` as they are. Both are kept encrypted and never shown.
    """

    kind: Literal["a2a"]
    url: Url = Field(examples=["https://agent.example.org"])
    secret: Bearer | None = Field(None, repr=False)
    headers: dict[str, str] | None = Field(None, max_length=MAX_HEADERS, repr=False)

    _check_headers = field_validator("headers")(_headers)

    @field_validator("secret")
    @classmethod
    def _fits_a_header(cls, value: str | None) -> str | None:
        if value is not None:
            _headers({"Authorization": f"Bearer {value}"})
        return value


AnyRuntime = HttpRuntime | LlmRuntime | CommandRuntime | A2aRuntime
Runtime = Annotated[HttpRuntime | LlmRuntime | CommandRuntime | A2aRuntime, Field(discriminator="kind")]
RUNTIME: TypeAdapter[AnyRuntime] = TypeAdapter(Runtime)


class McpServer(Shape):
    """An MCP server: at `url` by streamable HTTP, or `command`, a program that the operator allows by this name."""

    name: ServerName = Field(description="What the names of its tools start with.")
    url: Url | None = Field(None, examples=["https://tools.example.org/mcp"])
    command: str | None = Field(None, max_length=200, description="A name in REVEILLE_MCP_COMMANDS.")
    headers: dict[str, str | None] | None = Field(
        None,
        max_length=MAX_HEADERS,
        repr=False,
        description="Sent to `url`; their values are kept encrypted and never shown. Those of the same server name "
        "and url stay unless named here, in any case; null removes one, an empty object all.",
    )

    _check_headers = field_validator("headers")(_headers)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url is None) == (self.command is None):
            raise ValueError("needs either url or command")
        if self.command is not None and self.headers:
            raise ValueError("headers go with a url only")
        return self


def unique_names(servers: list[McpServer]) -> list[McpServer]:
    """Refuse two servers of one name, for their tools could not be told apart."""
    if len({server.name for server in servers}) < len(servers):
        raise ValueError("must have names that differ")
    return servers
