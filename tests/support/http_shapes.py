"""`http` agents with their own settings, run against a scripted loopback server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scheduler.domain.run import Outcome, RunRequest, RuntimeSpec
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.registry import make_runtime
from scheduler.storage.remote_tasks import RemoteTasks
from tests.integration.net.net_servers import Exchange, serve
from tests.support.http_agents import answered
from tests.support.runs import LOOPBACK, SECRET, make_parts, make_request

Answers = Callable[["Seen"], bytes]


@dataclass
class Seen:
    """A request as the server received it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Script:
    """Answers each request with `answer`, and stores the requests."""

    answer: Answers
    seen: list[Seen] = field(default_factory=list)

    async def __call__(self, exchange: Exchange) -> None:
        method, target, _ = exchange.request_line.split(" ", 2)
        self.seen.append(Seen(method, target, exchange.headers, exchange.body))
        await exchange.send(self.answer(self.seen[-1]))

    @property
    def told(self) -> list[str]:
        return [f"{each.method} {each.target}" for each in self.seen]


def replied(document: object, status: str = "200 OK", *headers: str) -> bytes:
    """Builds a JSON answer as bytes."""
    return answered(status, json.dumps(document).encode(), "Content-Type: application/json", *headers)


def run_shaped(
    script: Script,
    settings: dict[str, Any],
    *,
    request: RunRequest | None = None,
    timeout: float = 10.0,
    memory: RemoteTasks | None = None,
    allow: AllowedPrivate = LOOPBACK,
    base: str = "",
) -> Outcome:
    """Makes one attempt at an agent at the script's address, with these settings."""

    async def run() -> Outcome:
        async with serve(script) as server, make_parts(allow_private=allow, remote_tasks=memory) as parts:
            given = {"url": server.url.rstrip("/") + base, **settings}
            sealed = {name: given.pop(name) for name in HttpRuntime.secrets if name in given}
            secret = HttpRuntime.pack({"secret": SECRET} | sealed)
            return await make_runtime(RuntimeSpec("http", given, secret, timeout), parts).run(
                request or make_request()
            )

    return asyncio.run(run())
