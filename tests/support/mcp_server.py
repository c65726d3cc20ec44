"""A real MCP server for tests: as a program it uses stdio, `http_server` serves it on loopback."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.types import ASGIApp, Receive, Scope, Send

PROGRAM = [sys.executable, str(Path(__file__).resolve())]


@dataclass
class HttpServer:
    """A running server, and the headers of each call."""

    url: str
    headers: list[dict[str, str]] = field(default_factory=list)


def make_server() -> MCPServer:
    """Tools that answer, fail, hang, and end the program."""
    server = MCPServer("files")

    @server.tool()
    def read(path: str) -> str:
        """Reads a file."""
        return f"content of {path}"

    @server.tool(name="odd name!")
    def odd() -> dict[str, int]:
        """Returns an object."""
        return {"sum": 3}

    @server.tool()
    def broken() -> str:
        """Fails."""
        raise ToolError("the disk is full")

    @server.tool()
    async def slow() -> str:
        """Hangs."""
        await asyncio.Event().wait()
        return ""

    @server.tool()
    def environment() -> str:
        """Returns the names of the variables."""
        return " ".join(sorted(os.environ))  # noqa: TID251  # what the program was given

    @server.tool()
    def pid() -> str:
        """Returns the process id."""
        return str(os.getpid())

    @server.tool()
    def die() -> str:
        """Ends the program at once."""
        os._exit(1)

    return server


@contextmanager
def http_server(port: int) -> Iterator[HttpServer]:
    """Serves at `http://127.0.0.1:port/mcp`."""
    from tests.support.asgi import served_in_thread  # as a program it has no path to it

    running = HttpServer(f"http://127.0.0.1:{port}/mcp")
    app = _Watched(make_server().streamable_http_app(), running)
    with served_in_thread(app, port):
        yield running


class _Watched:
    def __init__(self, app: ASGIApp, running: HttpServer) -> None:
        self._app = app
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._running.headers.append({key.decode(): value.decode() for key, value in scope["headers"]})
        await self._app(scope, receive, send)


if __name__ == "__main__":
    make_server().run("stdio")
