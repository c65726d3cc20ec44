"""The `a2a` runtime: sends the context as a message to a remote agent over the A2A protocol, 1.0 or 0.3.

The library is loaded by the first run, so that a worker without such agents does not need the memory.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.json_values import merge_headers
from scheduler.domain.run import Failed, Outcome, RunRequest, Runtime, RuntimeSpec
from scheduler.net.headers import check_address
from scheduler.net.httpx_client import httpx_client
from scheduler.runtimes.base import MAX_REPLY_BYTES, Operator, Option, RuntimeConfig, RuntimeParts
from scheduler.runtimes.fields import MAX_HEADERS, Bearer, Url, sendable

if TYPE_CHECKING:
    from scheduler.runtimes.a2a_task import RemoteAgent

MAX_ANSWER_BYTES = 8 * MAX_REPLY_BYTES
"""The limit of one HTTP response. A stream may repeat a reply of one megabyte several times."""
CANCEL_SECONDS = 3.0
"""How long a remote agent may take to accept a cancellation."""


class A2aRuntime(RuntimeConfig):
    """Woken by a message to the A2A agent whose card is at `url` + `/.well-known/agent-card.json`.

    `secret` is sent as a bearer token, `headers` as they are. Both are stored encrypted and never shown.
    """

    label: ClassVar = "A2A agent"
    summary: ClassVar = "a remote agent that speaks A2A"
    icon: ClassVar = "M-5 0A2.5 2.5 0 1 1 0 0A2.5 2.5 0 1 0 5 0"
    docs: ClassVar = "docs/a2a.md#waking-an-agent-elsewhere"
    secrets: ClassVar = ("secret", "headers")
    sent_along: ClassVar = ("secret", "headers")
    main_fields: ClassVar = ("url", "secret")
    options: ClassVar = (
        Option("--a2a-url", "url", "where its card is.", metavar="URL"),
        Option(
            "--secret",
            "secret",
            "signs the calls, or goes with them.",
            "secret",
            "TEXT|@FILE",
            implies=False,
        ),
    )

    kind: Literal["a2a"]
    url: Url = Field(
        title="URL",
        description="Reveille reads its agent card from /.well-known/agent-card.json.",
        examples=["https://agent.example.org"],
    )
    secret: Bearer | None = Field(None, repr=False, title="Bearer token", description="Sent with every call.")
    headers: dict[str, str] | None = Field(
        None, max_length=MAX_HEADERS, repr=False, title="Headers", description="Sent with every call."
    )

    _check_headers = field_validator("headers")(sendable)

    def check(self, operator: Operator) -> None:
        """Checks that the address may be requested."""
        check_address(self.url, "runtime.url", operator.allow_private)

    @classmethod
    def pack(cls, secrets: Mapping[str, Any]) -> str:
        """Packs both secrets by name, even when empty."""
        return json.dumps({"secret": secrets.get("secret"), "headers": secrets.get("headers") or {}})

    @classmethod
    def open(cls, spec: RuntimeSpec, parts: RuntimeParts) -> Runtime:
        """Returns the runtime for one run."""
        return A2aRun(spec, parts)


class A2aRun:
    """Sends the context, follows the resulting task to its end, and cancels it at the timeout."""

    def __init__(self, spec: RuntimeSpec, parts: RuntimeParts) -> None:
        url = spec.config.get("url")
        if not isinstance(url, str):
            raise ConfigurationError("The agent's a2a runtime lacks its url; set it again.")
        self._url = url
        self._headers = secret_headers(spec.secret)
        self._timeout = spec.timeout_seconds
        self._parts = parts

    async def run(self, request: RunRequest) -> Outcome:
        """Wakes the remote agent and waits at most the agent's timeout.

        If the run ends before the task does, the remote agent is asked to stop: at the timeout, when the
        invocation is cancelled, and when the worker shuts down.
        """
        library = await _load()
        parts = self._parts
        headers = self._headers | ({} if request.traceparent is None else {"traceparent": request.traceparent})
        async with httpx_client(parts.client, headers=headers, max_bytes=MAX_ANSWER_BYTES) as http:
            has_secrets = bool(self._headers)
            agent: RemoteAgent = library.RemoteAgent(
                http, self._url, parts.remote_tasks, parts.clock, has_secrets=has_secrets
            )
            try:
                async with asyncio.timeout(self._timeout):
                    return await agent.work(request)
            except TimeoutError:
                await _stop(agent)
                text = f"The agent's task was not done within {self._timeout:g} s and was cancelled."
                return Failed(text, reason="timeout")
            except asyncio.CancelledError:
                await _undisturbed(_stop(agent))
                raise


def secret_headers(secret: str | None) -> dict[str, str]:
    """Returns the headers for an agent's stored secret: JSON, `{"secret": bearer token or null, "headers": {…}}`."""
    if secret is None:
        return {}
    stored = json.loads(secret)
    bearer = {"Authorization": f"Bearer {stored['secret']}"} if stored.get("secret") else {}
    return merge_headers(stored.get("headers", {}), bearer)


async def _load() -> ModuleType:
    """Imports the part that needs the library. The first import takes a moment, during which other runs continue."""
    return await asyncio.to_thread(importlib.import_module, "scheduler.runtimes.a2a_task")


async def _stop(agent: RemoteAgent) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(CANCEL_SECONDS):
            await agent.cancel()


async def _undisturbed(work: Awaitable[None]) -> None:
    """Waits for `work` even if the waiting is cancelled meanwhile; `work` has its own timeout."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
