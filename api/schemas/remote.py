"""What an agent has elsewhere: an A2A agent that runs it, MCP servers whose tools it may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from api.schemas.base import Answer, Shape
from scheduler.domain.errors import InvalidField
from scheduler.net.headers import check_headers, check_names_differ

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


class A2aRuntimeOut(Answer):
    """An A2A agent; what is sent along to it is not shown, only the names in the agent's `header_names`."""

    kind: Literal["a2a"]
    url: str


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


class McpServerOut(Answer):
    """An MCP server; its headers are not shown."""

    name: str
    url: str | None = None
    command: str | None = None


def unique_names(servers: list[McpServer]) -> list[McpServer]:
    """Refuse two servers of one name, for their tools could not be told apart."""
    if len({server.name for server in servers}) < len(servers):
        raise ValueError("must have names that differ")
    return servers
