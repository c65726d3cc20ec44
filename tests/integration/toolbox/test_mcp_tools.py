"""The tools of MCP servers, over HTTP and as programs: what a run is offered, and how failures are contained."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import isawaitable
from typing import Any

import pytest
from loguru import logger

from scheduler.domain.errors import ReveilleError
from scheduler.domain.ids import new_id
from scheduler.domain.tools import McpServer, Tool, ToolCaller
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.base import RuntimeParts
from scheduler.runtimes.mcp_tools import Timing, open_tools
from tests.integration.net.net_servers import never, serve
from tests.support.mcp_server import PROGRAM, HttpServer, http_server
from tests.support.runs import make_parts
from tests.support.web import free_port

CALLER = ToolCaller(new_id(), new_id())
STDIO = McpServer("local", command="files")
QUICK = Timing(connect=60.0, call=0.5, close=30.0)
STEADY = Timing(connect=60.0, close=30.0)
Work = Callable[[RuntimeParts], Awaitable[Any]]


@pytest.fixture(scope="module")
def files() -> Iterator[HttpServer]:
    """A server over HTTP that this module shares."""
    with http_server(free_port()) as running:
        yield running


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Captures what is logged."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="WARNING")
    yield lines
    logger.remove(sink)


def with_parts(work: Work, **values: Any) -> Any:
    async def run() -> Any:
        async with make_parts(mcp_commands={"files": PROGRAM}, **values) as parts:
            return await work(parts)

    return asyncio.run(run())


async def call(tools: list[Tool], name: str, arguments: Mapping[str, Any] | None = None) -> Any:
    tool = next(each for each in tools if each.name == name)
    result = tool.call(CALLER, arguments or {})
    return await result if isawaitable(result) else result


def far(files: HttpServer) -> McpServer:
    return McpServer("far", url=files.url, headers={"X-Key": "k1"})


def servers(files: HttpServer) -> list[McpServer]:
    return [far(files), STDIO]


def test_the_tools_of_all_servers_are_offered_under_their_servers_names(files: HttpServer) -> None:
    async def work(parts: RuntimeParts) -> None:
        async with open_tools(servers(files), parts, timing=STEADY) as tools:
            names = [tool.name for tool in tools]
            assert len(names) == 14
            assert {"far_read", "far_odd_name_", "local_read", "local_odd_name_"} <= set(names)
            read = next(tool for tool in tools if tool.name == "far_read")
            assert read.description == "Reads a file."
            assert read.schema["properties"]["path"]["type"] == "string"
            assert await call(tools, "far_read", {"path": "a"}) == "content of a"
            assert await call(tools, "local_read", {"path": "b"}) == "content of b"
            assert "3" in await call(tools, "local_odd_name_")

    with_parts(work)


def test_the_headers_go_with_every_call(files: HttpServer) -> None:
    files.headers.clear()

    async def work(parts: RuntimeParts) -> None:
        async with open_tools([far(files)], parts) as tools:
            await call(tools, "far_read", {"path": "a"})

    with_parts(work)
    assert files.headers
    assert all(each["x-key"] == "k1" for each in files.headers)


def test_a_tool_that_fails_says_why(files: HttpServer) -> None:
    """The next call works."""

    async def work(parts: RuntimeParts) -> None:
        async with open_tools(servers(files), parts, timing=STEADY) as tools:
            for server in ("far", "local"):
                for name, arguments in (("broken", {}), ("read", {}), ("read", {"path": 5})):
                    with pytest.raises(ReveilleError, match="disk is full" if name == "broken" else "path"):
                        await call(tools, f"{server}_{name}", arguments)
                assert await call(tools, f"{server}_read", {"path": "a"}) == "content of a"

    with_parts(work)


def test_a_tool_that_hangs_is_given_up(files: HttpServer) -> None:
    async def work(parts: RuntimeParts) -> None:
        async with open_tools(servers(files), parts, timing=QUICK) as tools:
            for server in ("far", "local"):
                with pytest.raises(ReveilleError, match=r"did not answer within 0\.5 s"):
                    await call(tools, f"{server}_slow")
                assert await call(tools, f"{server}_read", {"path": "a"}) == "content of a"

    with_parts(work)


def test_a_server_that_fails_is_left_out_and_the_others_are_there(files: HttpServer, logged: list[str]) -> None:
    """Unreachable, not MCP, not allowed: each with its reason in the log."""

    async def work(parts: RuntimeParts) -> list[str]:
        async with serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") as page:
            failing = [
                McpServer("gone", url=f"http://127.0.0.1:{free_port()}/mcp"),
                McpServer("page", url=page.url),
                McpServer("forbidden", command="rm"),
                McpServer("private", url="http://169.254.169.254/mcp"),
            ]
            async with open_tools([*failing, far(files)], parts, timing=STEADY) as tools:
                return [tool.name for tool in tools]

    names = with_parts(work)
    assert len(names) == 7
    assert all(name.startswith("far_") for name in names)
    for name in ("gone", "page", "forbidden", "private"):
        assert any(f"'{name}'" in line for line in logged), (name, logged)
    assert any("REVEILLE_MCP_COMMANDS" in line for line in logged)
    assert any("REVEILLE_ALLOW_PRIVATE_HOSTS" in line for line in logged)


def test_a_server_that_never_answers_holds_a_run_up_for_its_time_only(logged: list[str]) -> None:
    async def work(parts: RuntimeParts) -> float:
        async with serve(never) as server:
            started = asyncio.get_running_loop().time()
            silent = [McpServer("one", url=server.url), McpServer("two", url=server.url)]
            async with open_tools(silent, parts, timing=Timing(connect=0.3, close=0.5)) as tools:
                assert tools == []
            return asyncio.get_running_loop().time() - started

    assert with_parts(work) < 10
    assert sum("did not answer in 0.3 s" in line for line in logged) == 2


def test_a_program_that_dies_fails_its_calls_and_no_others(files: HttpServer) -> None:
    async def work(parts: RuntimeParts) -> None:
        async with open_tools(servers(files), parts, timing=QUICK) as tools:
            for _ in range(2):
                with pytest.raises(ReveilleError, match="MCP server 'local'"):
                    await call(tools, "local_die")
            assert await call(tools, "far_read", {"path": "a"}) == "content of a"

    with_parts(work)


def test_a_program_ends_with_its_run_and_is_given_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVEILLE_SECRET_KEY", "not for anybody")

    async def work(parts: RuntimeParts) -> int:
        async with open_tools([STDIO], parts, timing=STEADY) as tools:
            assert "REVEILLE_SECRET_KEY" not in (await call(tools, "local_environment")).split()
            return int(await call(tools, "local_pid"))

    pid = with_parts(work)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_cancelled_run_leaves_no_program_behind() -> None:
    async def work(parts: RuntimeParts) -> int:
        pids: list[int] = []
        ready = asyncio.Event()

        async def run() -> None:
            async with open_tools([STDIO], parts, timing=STEADY) as tools:
                pids.append(int(await call(tools, "local_pid")))
                ready.set()
                await call(tools, "local_slow")

        running = asyncio.ensure_future(run())
        await ready.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return pids[0]

    pid = with_parts(work)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_name_that_is_taken_keeps_its_meaning(files: HttpServer, logged: list[str]) -> None:
    async def work(parts: RuntimeParts) -> list[str]:
        async with open_tools([far(files)], parts, taken={"far_read"}) as tools:
            return [tool.name for tool in tools]

    assert "far_read" not in with_parts(work)
    assert any("'far_read'" in line for line in logged)


def test_the_guard_decides_what_is_reached(files: HttpServer) -> None:
    files.headers.clear()

    async def work(parts: RuntimeParts) -> None:
        async with open_tools([far(files)], parts) as tools:
            assert tools == []

    with_parts(work, allow_private=AllowedPrivate())
    assert files.headers == []
