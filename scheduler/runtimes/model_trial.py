"""Tests a model from a process that may never run `llm` agents itself."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable

from scheduler.domain.llm import ModelSpec, ModelTrial
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate


def ask_model(
    spec: ModelSpec, allow_private: AllowedPrivate, read_variable: Callable[[str], str | None]
) -> ModelTrial:
    """Asks now and waits for the result: an answer, or the reason why there is none."""
    return asyncio.run(_ask(spec, allow_private, read_variable))


async def _ask(
    spec: ModelSpec, allow_private: AllowedPrivate, read_variable: Callable[[str], str | None]
) -> ModelTrial:
    # The libraries take a second to load and 40 to 90 MB: only a process that tests a model loads them.
    library = await asyncio.to_thread(importlib.import_module, "scheduler.runtimes.llm.trial")
    async with GuardedClient(allow_private=allow_private) as client:
        tried: ModelTrial = await library.try_model(spec, client, read_variable)
    return tried
