"""The tools of an agent's MCP servers in a run: they are offered to the model, and their results are in the
transcript.
"""

from __future__ import annotations

import json

import pytest

from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import BOX
from tests.support.invocations import ready_one, row_of
from tests.support.llm import calls, make_model, make_thinker, notes, providing, text, thinking
from tests.support.mcp_server import http_server
from tests.support.web import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_model_calls_the_tools_of_an_mcp_server_and_does_without_one_that_fails(db: Database) -> None:
    says = (calls(("files_read", {"path": "notes"}), ("files_broken", {})), text("Read."))
    with http_server(free_port()) as files:
        async with providing(*says) as provider, thinking(db) as thinkers:
            servers = [
                {"name": "files", "url": files.url},
                {"name": "gone", "url": f"http://127.0.0.1:{free_port()}/mcp"},
            ]
            secrets = BOX.encrypt(json.dumps({"files": {"X-Key": "k1"}}))
            model_id = make_model(db, provider.url)
            woken = make_thinker(db, model_id, mcp_servers=servers, mcp_secrets=secrets)
            invocation_id = ready_one(db, woken)
            await thinkers.run(invocation_id)
    assert row_of(db, invocation_id).reply == "Read."
    offered = {tool["function"]["name"] for tool in provider.requests[0]["tools"]}
    assert {"files_read", "files_broken"} <= offered
    assert not any(name.startswith("gone") for name in offered)
    assert files.headers[0]["x-key"] == "k1"
    [note] = notes(db)
    assert note.startswith("The MCP server 'gone' failed; its tools are omitted: ")
    query = "SELECT tool_name, tool_state, text FROM messages WHERE tool_name IS NOT NULL ORDER BY id"
    read, broken = rows(db, query)
    assert (read.tool_name, read.tool_state) == ("files_read", "done")
    assert (broken.tool_name, broken.tool_state) == ("files_broken", "failed")
    told = [each["content"] for each in provider.told() if each["role"] == "tool"]
    assert told[0] == "content of notes"
    assert "the disk is full" in told[1]


async def test_tools_by_trust_hold_for_mcp_servers_too(db: Database) -> None:
    with http_server(free_port()) as files:
        async with providing(text("Seen.")) as provider, thinking(db) as thinkers:
            settings = {"tools_by_trust": {"unauthenticated": ["files_read"]}}
            servers = [{"name": "files", "url": files.url}]
            woken = make_thinker(db, make_model(db, provider.url), settings, mcp_servers=servers)
            invocation_id = ready_one(db, woken, payload=str(new_id()).encode(), trust=Trust.UNAUTHENTICATED)
            await thinkers.run(invocation_id)
    assert row_of(db, invocation_id).state == "succeeded"
    assert [tool["function"]["name"] for tool in provider.requests[0]["tools"]] == ["files_read"]
