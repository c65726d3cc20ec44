"""Provides the tools of an agent's MCP servers during one run.

A failing server does not fail the run: its tools are omitted, or its calls fail, and the log and the transcript
say why. The library is loaded by the first run that needs it.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from loguru import logger

from scheduler.domain.errors import ReveilleError
from scheduler.domain.tools import McpServer, Tool, ToolCaller
from scheduler.runtimes.base import RuntimeParts

MAX_NAME = 64
"""The maximum length of a tool's name, as required by model providers."""
MAX_DESCRIPTION = 2000
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Timing:
    """Time limits in seconds."""

    connect: float = 30.0
    """For servers to connect and list their tools, all of a run's servers in parallel."""
    call: float = 120.0
    close: float = 3.0
    """For servers to disconnect before they are forced to."""


class ToolFailed(ReveilleError):
    """The tool failed."""

    status = 502
    problem = "tool-failed"


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool as its server lists it."""

    name: str
    description: str
    schema: Mapping[str, Any]


class Session(Protocol):
    """An open connection to a server."""

    tools: Sequence[OfferedTool]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Returns a tool's result as text. Raises ToolFailed and any error of the library."""
        ...


_leaving: set[asyncio.Future[None]] = set()
"""Connections that take longer to close than a run should wait; the library limits their time."""

Connect = Callable[[McpServer, RuntimeParts], Any]
"""Opens a Session as an asynchronous context manager."""
Tell = Callable[[str], None]
"""Reports what is omitted, and why."""


@asynccontextmanager
async def open_tools(
    servers: Sequence[McpServer],
    parts: RuntimeParts,
    *,
    taken: Collection[str] = (),
    timing: Timing = Timing(),
    tell: Tell = lambda _: None,
) -> AsyncIterator[list[Tool]]:
    """Returns the tools of all `servers` that respond, named `server_tool`; names in `taken` are not reused.

    They are only valid inside the block; then the servers are disconnected and local ones ended. `tell` reports
    what is omitted before the block begins.
    """
    if not servers:
        yield []
        return
    module = await asyncio.to_thread(importlib.import_module, "scheduler.runtimes.mcp_session")
    connections = [_ServerConnection(server, parts, module.connect, timing) for server in servers]
    try:
        await asyncio.gather(*(each.open() for each in connections))
        tools, doubled = _distinct((tool for each in connections for tool in each.tools()), taken)
        for text in (*(each.failed for each in connections if each.failed), *doubled):
            logger.warning("{}", text)
            tell(text)
        yield tools
    finally:
        await _close(connections, timing.close)


class _ServerConnection:
    """A connection to a server, in a task of its own: the library requires that the task that opened it closes it."""

    def __init__(self, server: McpServer, parts: RuntimeParts, connect: Connect, timing: Timing) -> None:
        self._server = server
        self._parts = parts
        self._connect = connect
        self._timing = timing
        self._session: Session | None = None
        self._opened = asyncio.Event()
        self._leave = asyncio.Event()
        self.failed = ""
        """Why its tools are not there."""
        self.holding = asyncio.ensure_future(self._hold())

    async def open(self) -> None:
        """Waits until the server is connected, has failed, or has timed out."""
        try:
            async with asyncio.timeout(self._timing.connect):
                await self._opened.wait()
        except TimeoutError:
            self.failed = f"{self} did not answer in {self._timing.connect:g} s; its tools are omitted."
            self.holding.cancel()

    def tools(self) -> list[Tool]:
        """Returns its tools; none if it did not respond."""
        return [self._tool(offered) for offered in self._session.tools] if self._session else []

    def disconnect(self) -> None:
        """Disconnects; takes a moment."""
        self._leave.set()

    def __str__(self) -> str:
        return f"The MCP server {self._server.name!r}"

    async def _hold(self) -> None:
        try:
            async with self._connect(self._server, self._parts) as session:
                self._session = session
                self._opened.set()
                await self._leave.wait()
        except Exception as error:  # noqa: BLE001  # what a stranger's server makes the library raise is not known
            self._fail(reason(error))
        finally:
            self._opened.set()

    def _fail(self, why: str) -> None:
        """Records the failure: `open_tools` reports it before the run has its tools, later the calls do."""
        self._session = None
        if self._opened.is_set() and not self._leave.is_set():
            logger.warning("{} failed; it is left out: {}", self, why)
        self.failed = f"{self} failed; its tools are omitted: {why}"

    def _tool(self, offered: OfferedTool) -> Tool:
        async def call(arguments: Mapping[str, Any]) -> str:
            return await self._call(offered.name, arguments)

        def start(_: ToolCaller, arguments: Mapping[str, Any]) -> Awaitable[str]:
            return call(arguments)

        name = NOT_IN_A_NAME.sub("_", f"{self._server.name}_{offered.name}")[:MAX_NAME]
        return Tool(name, offered.description[:MAX_DESCRIPTION], offered.schema, start)

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> str:
        session = self._session
        if session is None or self.holding.done():
            raise ToolFailed(f"{self} has disconnected. Continue without its tools.")
        try:
            async with asyncio.timeout(self._timing.call):
                return await session.call(name, arguments)
        except ToolFailed:
            raise
        except TimeoutError:
            raise ToolFailed(f"{self} did not answer within {self._timing.call:g} s.") from None
        except Exception as error:  # noqa: BLE001  # as above
            raise ToolFailed(f"{self} failed: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """Returns the innermost cause of an error, which task groups wrap."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return str(error)[:500] or type(error).__name__


def _distinct(tools: Iterable[Tool], taken: Collection[str]) -> tuple[list[Tool], list[str]]:
    """Keeps the first of several tools with the same name and describes the others."""
    kept: dict[str, Tool] = {}
    doubled: list[str] = []
    for tool in tools:
        if tool.name in taken or tool.name in kept:
            doubled.append(f"There are two tools {tool.name!r}; the later one, of an MCP server, is left out.")
        else:
            kept[tool.name] = tool
    return list(kept.values()), doubled


async def _close(connections: Sequence[_ServerConnection], seconds: float) -> None:
    """Disconnects all servers in parallel, by force if they hang."""
    tasks = [each.holding for each in connections]
    for each in connections:
        each.disconnect()
    try:
        await asyncio.wait(tasks, timeout=seconds)
    finally:
        for task in tasks:
            task.cancel()
            if not task.done():
                _leaving.add(task)
                task.add_done_callback(_leaving.discard)
