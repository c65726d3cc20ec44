"""Gives checks access to the worker's resources from the thread in which each runs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from scheduler.documents.reader_process import ReaderProcesses
from scheduler.domain.clock import Clock
from scheduler.domain.permissions import Permitted
from scheduler.intake.polls.programs import run_program
from scheduler.net.client import Answer, GuardedClient
from scheduler.net.policy import AllowedPrivate, check_server
from scheduler.net.resolver import SystemResolver, allowed_addresses
from scheduler.triggers.check_resources import CheckResources

Value = TypeVar("Value")

FETCH_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that the resources are built from."""

    client: GuardedClient
    allow_private: AllowedPrivate
    clock: Clock
    permitted: Permitted
    reader_processes: ReaderProcesses


def resources_of(parts: Parts, loop: asyncio.AbstractEventLoop, trigger_id: UUID | None = None) -> CheckResources:
    """Returns the resources of a check in a thread beside `loop`, which makes its requests; without a trigger, of
    a trial.
    """

    def wait(work: Coroutine[Any, Any, Value]) -> Value:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def fetch(url: str, headers: Mapping[str, str], most: int) -> Answer:
        return wait(parts.client.request("GET", url, headers=headers, timeout=FETCH_SECONDS, max_bytes=most))

    def address_of(host: str, port: int) -> str:
        # the config's check has validated the port
        target = check_server(host, port, parts.allow_private, own_port=port)
        return str(
            wait(allowed_addresses(target, resolver=SystemResolver(), allow_private=parts.allow_private))[0]
        )

    return CheckResources(
        parts.permitted, parts.clock.now, run_program, fetch, address_of, parts.reader_processes.read, trigger_id
    )
