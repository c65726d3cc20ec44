"""Asks the models of an agent: the primary, and after it fails the fallback, for the rest of the attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loguru import logger
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from scheduler.domain.llm import ModelSpec
from scheduler.domain.run import Failed
from scheduler.net.client import GuardedClient
from scheduler.runtimes.llm.errors import ERRORS, UnusableResponse, all_failed, failure
from scheduler.runtimes.llm.providers import open_model


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A complete response, the model that gave it, and why earlier ones failed."""

    response: ModelResponse
    spec: ModelSpec
    failed: tuple[str, ...] = ()


class Models:
    """The models that have not failed yet; the first one is asked next."""

    def __init__(
        self, specs: Sequence[ModelSpec], client: GuardedClient, read_variable: Callable[[str], str | None]
    ) -> None:
        self._specs = list(specs)
        self._client = client
        self._read_variable = read_variable
        self._opened: Model | None = None

    @property
    def is_unlimited(self) -> bool:
        """Whether nobody has limited the tokens of the next model's response."""
        return bool(self._specs) and self._specs[0].max_output_tokens is None

    async def ask(
        self,
        messages: Sequence[ModelMessage],
        parameters: ModelRequestParameters,
        settings: ModelSettings,
        stall_seconds: float,
    ) -> ModelAnswer | Failed:
        """Returns the first complete response; if every model fails, the outcome of the attempt."""
        failures: list[Failed] = []
        while self._specs:
            spec = self._specs[0]
            try:
                self._opened = self._opened or open_model(spec, self._client, self._read_variable)
                limit: ModelSettings = {"max_tokens": spec.max_output_tokens} if spec.max_output_tokens else {}
                response = await _stream(self._opened, messages, parameters, {**settings, **limit}, stall_seconds)
                return ModelAnswer(response, spec, tuple(each.error for each in failures))
            except ERRORS as error:
                failures.append(failure(spec.name, error))
                logger.warning("A model failed: {}", failures[-1].error)
            self._specs.pop(0)
            self._opened = None
        return all_failed(failures)


async def _stream(
    model: Model,
    messages: Sequence[ModelMessage],
    parameters: ModelRequestParameters,
    settings: ModelSettings,
    stall_seconds: float,
) -> ModelResponse:
    """Reads one response to its end. Raises what ERRORS lists."""
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(stall_seconds) as patience:
            asked = model_request_stream(
                model, messages, model_settings=settings, model_request_parameters=parameters
            )
            async with asked as stream:
                async for _ in stream:
                    patience.reschedule(clock() + stall_seconds)
                response = stream.get()
    except TimeoutError:
        raise UnusableResponse(f"It sent nothing for {stall_seconds:g} s.", reason="timeout") from None
    return _whole(response)


def _whole(response: ModelResponse) -> ModelResponse:
    """Returns the response if it is complete."""
    why = response.finish_reason
    if why is None and not (response.provider_details or {}).get("finish_reason"):
        raise UnusableResponse("The response ended early.")
    if why == "content_filter":
        raise UnusableResponse("The provider's content filter stopped the response.", permanent=True)
    if why == "error":
        raise UnusableResponse("The provider stopped the response with an error.")
    return response
