"""A connection to an MCP server with the library `mcp`. Imported by `mcp_tools` when a run needs it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.text import MAX_REPLY_BYTES, storable
from scheduler.domain.tools import McpServer
from scheduler.net.httpx2_client import httpx2_client
from scheduler.runtimes.base import RuntimeParts
from scheduler.runtimes.mcp_tools import OfferedTool, ToolFailed

MAX_ANSWER_BYTES = 32 * MAX_REPLY_BYTES
"""The limit of one HTTP response, which may be a stream of many messages."""
MAX_TOOLS = 100
"""The limit for one server: with more tools a model chooses worse, and all of them cost tokens."""
CLIENT = mcp_types.Implementation(name="Reveille", version="1")


class McpSession:
    """An open connection and the tools that its server lists."""

    def __init__(self, client: Client, tools: Sequence[OfferedTool]) -> None:
        self._client = client
        self.tools = tools

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Returns a tool's result as text. Raises ToolFailed for a result marked as an error."""
        result = await self._client.call_tool(name, dict(arguments))
        text = result_text(result)
        if result.is_error:
            raise ToolFailed(text or "The tool failed without a reason.")
        return text


@asynccontextmanager
async def connect(server: McpServer, parts: RuntimeParts) -> AsyncIterator[McpSession]:
    """Connects and lists the tools. Raises ConfigurationError for a command that is not allowed."""
    if server.url is not None:
        http = httpx2_client(parts.client, max_bytes=MAX_ANSWER_BYTES)
        http.headers.update(server.headers)
        async with (
            http,
            Client(streamable_http_client(server.url, http_client=http), client_info=CLIENT) as client,
        ):
            yield McpSession(client, await _list(client))
        return
    with Path(os.devnull).open("w") as nowhere:
        transport = stdio_client(_program(server, parts), errlog=nowhere)
        async with Client(transport, client_info=CLIENT) as client:
            yield McpSession(client, await _list(client))


def result_text(result: mcp_types.CallToolResult) -> str:
    """Returns the content as text; structured content as JSON if there is no text; images and audio by their type."""
    text = "\n".join(filter(None, map(_block, result.content)))
    if not text and result.structured_content is not None:
        text = json.dumps(result.structured_content, ensure_ascii=False)
    return storable(text)[0]


def _block(block: mcp_types.ContentBlock) -> str:
    match block:
        case mcp_types.TextContent():
            return block.text
        case mcp_types.EmbeddedResource(resource=mcp_types.TextResourceContents() as resource):
            return resource.text
        case mcp_types.EmbeddedResource(resource=resource):
            return f"[resource {resource.uri}]"
        case mcp_types.ResourceLink():
            return f"[resource {block.uri}]"
    return f"[{block.type} {block.mime_type}, {len(block.data)} characters of base64]"


async def _list(client: Client) -> list[OfferedTool]:
    offered: list[OfferedTool] = []
    cursor: str | None = None
    while len(offered) < MAX_TOOLS:
        page = await client.list_tools(cursor=cursor)
        offered += [OfferedTool(tool.name, tool.description or "", tool.input_schema) for tool in page.tools]
        cursor = page.next_cursor
        if not cursor:
            break
    return offered[:MAX_TOOLS]


def _program(server: McpServer, parts: RuntimeParts) -> StdioServerParameters:
    """Starts a local server. The library passes on PATH, HOME and the like, and no other variable of the worker."""
    command = parts.mcp_commands.get(server.command or "")
    if not command:
        raise ConfigurationError(
            f"The command {server.command!r} is not in this worker's REVEILLE_MCP_COMMANDS; add it there."
        )
    program, *arguments = command
    return StdioServerParameters(command=program, args=arguments, cwd="/")
