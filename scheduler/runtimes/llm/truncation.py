"""Handles responses that were cut at a token limit: notes it and asks the model to continue."""

from __future__ import annotations

import re
import unicodedata

from pydantic_ai.messages import ModelResponse

from scheduler.domain.run import Failed
from scheduler.runtimes.llm.prompts import Translation

MAX_CONTINUATIONS = 3
"""How often a model is asked to continue one reply."""

_REASONS = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
"""The finish reasons for that of providers and compatible servers."""

_THOUGHT = re.compile(r"\s*<(think|thinking)>.*?(?:</\1>\s*|\Z)", re.DOTALL)
"""Thoughts that a server includes in the reply although it should separate them."""
_END_OF_THOUGHT = re.compile(r"(?:(?!<think).)*?</(?:think|thinking)>[ \t]*(?:\n\s*|\Z)", re.DOTALL)
"""The end of thoughts whose start is part of the prompt, as in some models' templates."""
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Unicode categories of invisible characters: blanks, line ends, zero-width characters."""


def visible_text(response: ModelResponse) -> str:
    """Returns the text of a response without the thoughts before it; nothing when no character of it is visible."""
    text = response.text or ""
    thought = _THOUGHT.match(text) or _END_OF_THOUGHT.match(text)
    text = text[thought.end() :] if thought else text
    return text if any(unicodedata.category(each) not in _INVISIBLE for each in text) else ""


def is_cut(response: ModelResponse) -> bool:
    """Whether the provider ended the response at a token limit."""
    raw = (response.provider_details or {}).get("finish_reason") or ""
    return response.finish_reason == "length" or str(raw).rpartition(".")[2].lower() in _REASONS


def empty_reply_outcome(response: ModelResponse) -> Failed:
    """Returns the outcome for a model that used up its tokens without text; a retry would do the same."""
    return Failed(
        f"The model reached its token limit after {tokens_of(response)} tokens without any text, as reasoning "
        "models may: raise the model's max_output_tokens, or ask for less.",
        permanent=True,
    )


def no_answer_outcome(response: ModelResponse) -> Failed:
    """Returns the outcome for a run whose answer a person awaits, and whose model did nothing and ended without
    text.
    """
    return Failed(
        f"The model ended after {tokens_of(response)} tokens without an answer, although somebody waits for it.",
        permanent=True,
    )


def with_note(text: str, tokens: int, words: Translation) -> str:
    """Returns a truncated text with a note at its end."""
    return f"{text.rstrip()}\n\n{words.cut.format(tokens=tokens)}"


def tokens_of(response: ModelResponse) -> int:
    """Returns the number of tokens of the response."""
    return response.usage.output_tokens
