"""Responses that a limit of tokens cut: what is said of them, and how they go on."""

from __future__ import annotations

from pydantic_ai.messages import ModelResponse

from scheduler.domain.run import Failed
from scheduler.runtimes.llm.prompts import Words

MAX_CONTINUATIONS = 3
"""How often a model is asked to go on with one reply."""

_REASONS = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
"""How providers say so, and servers that imitate them."""


def is_cut(response: ModelResponse) -> bool:
    """Whether the provider ended the response at a limit of tokens."""
    raw = (response.provider_details or {}).get("finish_reason") or ""
    return response.finish_reason == "length" or str(raw).rpartition(".")[2].lower() in _REASONS


def said_nothing(response: ModelResponse) -> Failed:
    """The end of a run whose model spent its tokens without a word; it would again."""
    return Failed(
        f"The model reached its limit of tokens after {tokens_of(response)} and had said nothing, as models do that "
        "think for long: raise max_output_tokens of the model, or ask for less.",
        permanent=True,
    )


def with_note(said: str, tokens: int, words: Words) -> str:
    """A cut text, which says so at its end."""
    return f"{said.rstrip()}\n\n{words.cut.format(tokens=tokens)}"


def tokens_of(response: ModelResponse) -> int:
    """How many tokens the response took."""
    return response.usage.output_tokens
