"""A dispatcher with a scripted runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from scheduler.domain.run import Outcome, Replied, RunRequest, Runtime, RuntimeSpec
from scheduler.invocations.dispatch import Dispatcher
from scheduler.storage.engine import Database
from tests.support.factories import BOX

BASE_URL = "http://reveille.example"
Behaviour = Callable[[RunRequest], Awaitable[Outcome]]


class Scripted:
    """A runtime that does what the test says, and records its requests and parts."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.requests: list[RunRequest] = []
        self.specs: list[RuntimeSpec] = []
        self.started = asyncio.Event()
        self.was_cancelled = False

    def __call__(self, spec: RuntimeSpec) -> Runtime:
        self.specs.append(spec)
        return self

    async def run(self, request: RunRequest) -> Outcome:
        self.requests.append(request)
        self.started.set()
        try:
            return await self._behaviour(request)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


async def reply(_: RunRequest) -> Outcome:
    """Replies at once."""
    return Replied("done")


async def hang(_: RunRequest) -> Outcome:
    """Never ends."""
    await asyncio.Event().wait()
    raise AssertionError


def make_dispatcher(db: Database, runtime: Callable[[RuntimeSpec], Runtime], **values: Any) -> Dispatcher:
    """Creates a dispatcher whose worker's heartbeat is fresh, unless told otherwise."""
    fields: dict[str, Any] = {"box": BOX, "base_url": BASE_URL, "worker": "test:1", "heartbeat_age": lambda: 0.0}
    return Dispatcher(db, runtime, **(fields | values))


def dispatch_once(db: Database, invocation_id: UUID, behaviour: Behaviour = reply, attempt: int = 1) -> Scripted:
    """Runs one invocation to its end, without a watcher."""

    async def run() -> Scripted:
        runtime = Scripted(behaviour)
        dispatcher = make_dispatcher(db, runtime)
        await dispatcher.run([(invocation_id, attempt)])
        dispatcher.close()
        return runtime

    return asyncio.run(run())
