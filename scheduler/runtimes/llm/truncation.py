"""Handles responses that a token limit cut: notes that, and asks the model to continue."""

from __future__ import annotations

import re

from pydantic_ai.messages import ModelResponse

from scheduler.domain.run import Failed
from scheduler.runtimes.llm.prompts import Words

MAX_CONTINUATIONS = 3
"""How often a model is asked to go on with one reply."""

_REASONS = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
"""How providers say so, and servers that imitate them."""

_THOUGHT = re.compile(r"\s*<(think|thinking)>.*?(?:</\1>\s*|\Z)", re.DOTALL)
"""What a server passes on with the reply that should have told it apart."""


def said(response: ModelResponse) -> str:
    """The text of a response, without the thoughts before it."""
    text = response.text or ""
    thought = _THOUGHT.match(text)
    return text[thought.end() :] if thought else text


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


def gave_no_answer(response: ModelResponse) -> Failed:
    """The end of a run for whose answer a person waits, and whose model did nothing and ended without a word."""
    return Failed(
        f"The model ended after {tokens_of(response)} tokens and had answered nothing, though somebody waits for its "
        "answer.",
        permanent=True,
    )


def with_note(said: str, tokens: int, words: Words) -> str:
    """A cut text, which says so at its end."""
    return f"{said.rstrip()}\n\n{words.cut.format(tokens=tokens)}"


def tokens_of(response: ModelResponse) -> int:
    """How many tokens the response took."""
    return response.usage.output_tokens
