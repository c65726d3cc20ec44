"""Creates pydantic-ai models with guarded connections and explicit keys, independent of the environment.

Otherwise the libraries would read variables such as `OPENAI_API_KEY` and send the operator's key to whatever
address a tenant chose. So key and address are always passed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from config.installation import extra_command
from scheduler.domain.errors import ConfigurationError
from scheduler.domain.llm import ModelSpec, Provider
from scheduler.net.client import GuardedClient
from scheduler.net.httpx2_client import httpx2_client
from scheduler.runtimes.base import MAX_REPLY_BYTES

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model

ADDRESSES = {
    Provider.OPENAI: "https://api.openai.com/v1",
    Provider.ANTHROPIC: "https://api.anthropic.com",
    Provider.GOOGLE: "https://generativelanguage.googleapis.com",
}
NO_KEY = "none"
"""For servers that need no key, as the libraries refuse an empty one."""
MAX_RESPONSE_BYTES = 32 * MAX_REPLY_BYTES
"""The limit of one response on the wire: every token of a stream comes in some 300 bytes of JSON."""


def open_model(spec: ModelSpec, client: GuardedClient, read_variable: Callable[[str], str | None]) -> Model:
    """Returns the model, ready for requests.

    Raises ConfigurationError: its key or its provider's library is missing.
    """
    make = _MAKERS.get(spec.provider)
    base_url = spec.base_url or ADDRESSES.get(Provider(spec.provider)) if make else None
    if make is None or base_url is None:
        raise ConfigurationError(f"The model {spec.name!r} has a provider or an address that cannot be used.")
    try:
        return make(spec, base_url, _key(spec, read_variable), httpx2_client(client, max_bytes=MAX_RESPONSE_BYTES))
    except ImportError:
        raise ConfigurationError(
            f"The library for {spec.provider} is not installed where the worker runs: {extra_command('providers')}"
        ) from None


def _key(spec: ModelSpec, read_variable: Callable[[str], str | None]) -> str:
    if spec.key_env is None:
        return spec.key or NO_KEY
    key = read_variable(spec.key_env)
    if not key:
        raise ConfigurationError(
            f"The model {spec.name!r} needs the variable {spec.key_env}: set it for the worker."
        )
    return key


def _openai(spec: ModelSpec, base_url: str, key: str, http: httpx2.AsyncClient) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(base_url=base_url, api_key=key, http_client=http, max_retries=0)
    # Otherwise a broken stream would look like a short answer.
    profile: OpenAIModelProfile = {"openai_chat_streaming_requires_finish_reason": True}
    if spec.provider == Provider.OPENAI_COMPATIBLE:
        # The forms that all compatible servers know, instead of OpenAI's newer ones.
        profile |= {
            "openai_chat_supports_max_completion_tokens": False,
            "openai_chat_supports_allowed_tools": False,
        }
    return OpenAIChatModel(spec.model, provider=OpenAIProvider(openai_client=client), profile=profile)


def _anthropic(spec: ModelSpec, base_url: str, key: str, http: httpx2.AsyncClient) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(base_url=base_url, api_key=key, http_client=http, max_retries=0)
    return AnthropicModel(spec.model, provider=AnthropicProvider(anthropic_client=client))


def _google(spec: ModelSpec, base_url: str, key: str, http: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    return GoogleModel(spec.model, provider=GoogleProvider(api_key=key, base_url=base_url, http_client=http))


_MAKERS: dict[str, Callable[[ModelSpec, str, str, Any], Model]] = {
    Provider.OPENAI: _openai,
    Provider.OPENAI_COMPATIBLE: _openai,
    Provider.ANTHROPIC: _anthropic,
    Provider.GOOGLE: _google,
}
