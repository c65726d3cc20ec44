"""The MCP servers of an agent as clients send them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from scheduler.domain.shapes import Shape
from scheduler.runtimes.fields import MAX_HEADERS, Url, sendable

ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,19}$")]


class McpServer(Shape):
    """An MCP server: streamable HTTP at `url`, or `command`, the name of a program that the operator allows."""

    name: ServerName = Field(description="The prefix of its tools' names.")
    url: Url | None = Field(None, examples=["https://tools.example.org/mcp"])
    command: str | None = Field(None, max_length=200, description="A name in REVEILLE_MCP_COMMANDS.")
    headers: dict[str, str | None] | None = Field(
        None,
        max_length=MAX_HEADERS,
        repr=False,
        description="Sent to `url`; their values are stored encrypted and never shown. Headers of a "
        "server with the same name and url stay unless named here (case-insensitive); null removes one, "
        "an empty object all.",
    )

    _check_headers = field_validator("headers")(sendable)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url is None) == (self.command is None):
            raise ValueError("needs either url or command")
        if self.command is not None and self.headers:
            raise ValueError("headers require a url")
        return self


def unique_names(servers: list[McpServer]) -> list[McpServer]:
    """Refuses two servers with the same name, as their tools would be ambiguous."""
    if len({server.name for server in servers}) < len(servers):
        raise ValueError("must have different names")
    return servers
