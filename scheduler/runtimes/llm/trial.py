"""Asks a model a short test question: whether it answers, how fast, and otherwise why not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import ModelRequestParameters

from scheduler.domain.llm import ModelSpec, ModelTrial
from scheduler.domain.run import Failed
from scheduler.net.client import GuardedClient
from scheduler.runtimes.llm.fallback import ModelAnswer, Models

QUESTION = "Say OK and nothing else."
MOST_TOKENS = 256
"""The token limit of the answer. Reasoning models count their thoughts, and some refuse a lower limit."""
MOST_SECONDS = 20.0


async def try_model(
    spec: ModelSpec,
    client: GuardedClient,
    read_variable: Callable[[str], str | None],
    *,
    most_seconds: float = MOST_SECONDS,
) -> ModelTrial:
    """Asks once, as a run would; never raises for errors of the model or its provider."""
    clock = asyncio.get_running_loop().time
    started = clock()
    limit = min(spec.max_output_tokens or MOST_TOKENS, MOST_TOKENS)
    models = Models([replace(spec, max_output_tokens=limit)], client, read_variable)
    question = ModelRequest.user_text_prompt(QUESTION)
    try:
        async with asyncio.timeout(most_seconds):
            came = await models.ask([question], ModelRequestParameters(), {}, most_seconds)
    except TimeoutError:
        came = Failed(f"{spec.name} gave no complete answer within {most_seconds:g} s.")
    return _trial(came, clock() - started)


def _trial(came: ModelAnswer | Failed, seconds: float) -> ModelTrial:
    if isinstance(came, Failed):
        return ModelTrial(seconds, error=came.error)
    usage = came.response.usage
    return ModelTrial(seconds, came.response.text or "", usage.input_tokens, usage.output_tokens)
