"""A model answers one short question before an agent relies on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.domain.llm import ModelSpec
from scheduler.net.client import GuardedClient
from scheduler.runtimes.llm.trial import try_model
from tests.integration.net.net_servers import LOOPBACK, never
from tests.support.api import Api, running_api
from tests.support.database import rows
from tests.support.llm import STREAM_HEAD, calls, chunks, http, providing, text
from tests.support.pages import signed_in
from tests.support.web import free_port

pytestmark = pytest.mark.anyio

CUT_OFF = "peer closed connection without sending complete message body"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    """The web application, which may reach 127.0.0.1."""
    with running_api(database_url, allow_private_hosts="127.0.0.1") as running:
        yield running


def make(api: Api, url: str, **fields: object) -> str:
    """Creates a model of a server; returns its path."""
    body = {"name": "small", "provider": "openai-compatible", "model": "m-1", "key": "sk-secret"}
    return f"/models/{api.post('/models', {**body, 'base_url': url, **fields})['id']}"


async def outcome(api: Api, path: str) -> Any:
    return await asyncio.to_thread(api.post, f"{path}/test", None, 200)


async def test_a_model_that_answers_is_shown_with_its_tokens_and_its_time(api: Api) -> None:
    async with providing(text("OK")) as provider:
        path = make(api, provider.url, is_enabled=False, max_output_tokens=50_000)
        said = await outcome(api, path)
    assert isinstance(said.pop("latency_ms"), int)
    assert said == {"ok": True, "text": "OK", "tokens_in": 100, "tokens_out": 20, "error": None}
    [request] = provider.requests
    assert (request["model"], request["max_tokens"], provider.keys) == ("m-1", 256, ["Bearer sk-secret"])
    assert len(json.dumps(request["messages"])) < 200
    [event] = rows(api.db, "SELECT detail FROM audit_events WHERE action = 'model.tested'")
    assert event.detail == {"name": "small", "ok": True}
    assert rows(api.db, "SELECT 1 FROM agent_usage") == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            http(401, '{"error": {"message": "Incorrect API key provided", "type": "x"}}'),
            "small answered HTTP 401: Incorrect API key provided",
        ),
        (http(404, '{"error": "model \'m-1\' not found"}'), "small answered HTTP 404: model 'm-1' not found"),
        (http(429, "slow down", retry_after="9"), "small answered HTTP 429: slow down"),
        (http(500, ""), "small answered HTTP 500: no reason given"),
        (STREAM_HEAD + chunks("OK")[0], "small: The response ended early."),
        (
            http(200, b"".join(chunks("OK")), content_type="text/event-stream")[:-10],
            f"small: The connection failed: {CUT_OFF} (received 517 bytes, expected 527).",
        ),
    ],
)
async def test_a_model_that_fails_says_why_in_the_providers_words(api: Api, answer: bytes, error: str) -> None:
    async with providing(answer) as provider:
        said = await outcome(api, make(api, provider.url))
    assert (said["ok"], said["text"], said["error"]) == (False, "", error)


async def test_an_unknown_or_forbidden_model_says_so(api: Api) -> None:
    said = await outcome(api, make(api, f"http://127.0.0.1:{free_port()}/v1"))
    assert (said["ok"], said["error"]) == (
        False,
        "small: No connection to its address: Connection refused.",
    )
    said = await outcome(api, make(api, "https://a.example/v1", name="env", key=None, key_env="NO_SUCH_KEY"))
    assert "needs the variable NO_SUCH_KEY" in said["error"]


async def test_a_call_of_a_tool_counts_as_an_answer(api: Api) -> None:
    async with providing(calls(("look", {}))) as provider:
        said = await outcome(api, make(api, provider.url))
    assert (said["ok"], said["text"], said["tokens_out"]) == (True, "", 10)


async def test_a_silent_model_times_out() -> None:
    async with providing(never) as provider, GuardedClient(allow_private=LOOPBACK) as client:
        spec = ModelSpec("small", "openai-compatible", "m-1", base_url=provider.url)
        tried = await try_model(spec, client, lambda _: None, most_seconds=0.3)
    assert tried.error is not None and "0.3 s" in tried.error


async def test_testing_takes_the_write_scope_and_ones_own_model(api: Api) -> None:
    path = make(api, "https://a.example/v1")
    api.with_key("read").refused(403, "POST", f"{path}/test")
    api.as_(api.key, api.tenant("other")).refused(404, "POST", f"{path}/test")


async def test_the_page_tells_what_came_of_it(api: Api) -> None:
    async with providing(text("OK"), http(401, '{"error": {"message": "Wrong <key>"}}')) as provider:
        browser = signed_in(api)
        action = f"/settings{make(api, provider.url)}/test"
        for told in ("small answered in", "small answered HTTP 401: Wrong &lt;key&gt;"):
            assert (await asyncio.to_thread(browser.post, action)).status_code == 303
            assert told in browser.get("/settings/models")
