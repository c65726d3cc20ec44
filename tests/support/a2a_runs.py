"""Runs of the `a2a` runtime for tests."""

from __future__ import annotations

import asyncio
from typing import Any

from scheduler.domain.run import Outcome, RunRequest, RuntimeSpec
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.registry import make_runtime
from scheduler.storage.remote_tasks import RemoteTasks
from tests.support.a2a_agent import Agent
from tests.support.runs import LOOPBACK, make_parts, make_request


async def run(
    url: str,
    *,
    request: RunRequest | None = None,
    secret: str | None = None,
    timeout: float = 20.0,
    memory: RemoteTasks | None = None,
    allow: AllowedPrivate = LOOPBACK,
) -> Outcome:
    async with make_parts(allow_private=allow, remote_tasks=memory) as parts:
        spec = RuntimeSpec("a2a", {"url": url}, secret, timeout)
        return await make_runtime(spec, parts).run(request or make_request())


def outcome_of(agent: Agent, **values: Any) -> Outcome:
    return asyncio.run(run(agent.url, **values))
