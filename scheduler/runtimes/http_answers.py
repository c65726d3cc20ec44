"""Interprets an HTTP response: a reply, a permanent failure, or a failure to retry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from scheduler.domain.charsets import decode
from scheduler.domain.errors import ReveilleError
from scheduler.domain.json_path import compile_stored
from scheduler.domain.json_values import read_json
from scheduler.domain.llm import ResponseUsage, read_usage
from scheduler.domain.run import Failed, Outcome, Replied
from scheduler.domain.templates import as_text
from scheduler.net.client import Answer
from scheduler.net.errors import is_put_off, parse_retry_after
from scheduler.runtimes.base import MAX_REPLY_BYTES
from scheduler.runtimes.replies import AROUND, parse_object, read_reply

TEMPORARY = frozenset({408, 425, 429})
"""The 4xx that say "later": Request Timeout, Too Early, Too Many Requests."""
EXCERPT = 500
"""Characters of an error's body that are kept."""
NOTHING: Any = object()
"""The document of a body that is not JSON."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a response is read: the paths of its reply, error and usage. Without paths it is read by its form."""

    reply_path: str | None = None
    error_path: str | None = None
    usage_path: str | None = None

    @property
    def max_bytes(self) -> int:
        """Returns how much of a response is read. Parts selected by paths may be a small part of it."""
        return MAX_REPLY_BYTES * (8 if self.has_paths else 1)

    @property
    def has_paths(self) -> bool:
        """Whether there is a path."""
        return any((self.reply_path, self.error_path, self.usage_path))

    def outcome(self, answer: Answer, now: datetime) -> Outcome:
        """Converts a status: RFC 9110, with 408, 425, 429 and 5xx worth a retry."""
        if 200 <= answer.status < 300:
            return self._replied(answer)
        failed = _failed(answer, now)
        spent, note = self._usage(document_of(answer))
        return replace(failed, spent=spent, note=note)

    def _replied(self, answer: Answer) -> Outcome:
        text = decode(answer.body, answer.headers.get("content-type"), is_cut=answer.truncated)
        if text is None:
            kind = answer.headers.get("content-type", "").partition(";")[0].strip()[:100] or "an unknown type"
            return Replied(f"(not text: {len(answer.body)} bytes of {kind})", answer.truncated)
        if not self.has_paths:
            return read_reply(text, is_cut=answer.truncated)
        document = _parsed(text, is_cut=answer.truncated)
        spent, note = self._usage(document)
        error = _text_at(self.error_path, document)
        if error:
            return Failed(f"The agent answered that it failed: {error[:EXCERPT]}", spent=spent, note=note)
        return self._reply_in(document, text, answer.truncated, spent, note)

    def _reply_in(
        self, document: Any, text: str, is_cut: bool, spent: ResponseUsage | None, note: str | None
    ) -> Replied:
        if self.reply_path is None:
            return replace(read_reply(text, is_cut=is_cut), spent=spent, note=note)
        found = _text_at(self.reply_path, document)
        if found is None:
            lost = f"There was nothing at reply_path {self.reply_path}; the reply is the whole answer."
            return Replied(text, is_cut, spent=spent, note=" ".join(filter(None, (lost, note))))
        return Replied(found, is_cut, spent=spent, note=note)

    def _usage(self, document: Any) -> tuple[ResponseUsage | None, str | None]:
        if document is NOTHING:
            return None, None
        if self.usage_path is not None:
            return read_usage(next(iter(_values_at(self.usage_path, document)), None), texts=True)
        return read_usage(document.get("usage") if isinstance(document, dict) else None)


def document_of(answer: Answer) -> Any:
    """Returns the JSON of a response; NOTHING if it is not JSON."""
    text = decode(answer.body, answer.headers.get("content-type"), is_cut=answer.truncated)
    return NOTHING if text is None else _parsed(text, is_cut=answer.truncated)


def value_at(path: str, document: Any) -> Any:
    """Returns the first value at a JSONPath; None if there is none."""
    return next(iter(_values_at(path, document)), None)


def _failed(answer: Answer, now: datetime) -> Failed:
    said = decode(answer.body[: 4 * EXCERPT], answer.headers.get("content-type"), is_cut=True) or ""
    text = " ".join(said.split())[:EXCERPT]
    error = (
        f"The agent answered HTTP {answer.status}: {text}" if text else f"The agent answered HTTP {answer.status}."
    )
    if answer.status in TEMPORARY or answer.status >= 500:
        wait = parse_retry_after(answer.headers.get("retry-after"), now)
        return Failed(error, retry_after=wait, was_put_off=is_put_off(answer.status, wait))
    return Failed(error, permanent=True)


def _parsed(text: str, *, is_cut: bool) -> Any:
    if is_cut:
        return parse_object(text, is_cut=True) or NOTHING
    try:
        return read_json(text.strip(AROUND), lenient=True)[0]
    except (ValueError, RecursionError):
        return NOTHING


def _text_at(path: str | None, document: Any) -> str | None:
    """Returns the texts at a path, one per line; None if there is only null or nothing."""
    found = [each for each in _values_at(path, document) if each is not None] if path else []
    return "\n".join(map(_said, found)) if found else None


def _said(value: Any) -> str:
    """Returns a value as text. Of a model's content blocks, uses those of type text."""
    blocks = value if isinstance(value, list) else []
    texts = [each["text"] for each in blocks if isinstance(each, dict) and isinstance(each.get("text"), str)]
    return "\n".join(texts) if texts and all(isinstance(each, dict) for each in blocks) else as_text(value)


def _values_at(path: str, document: Any) -> list[Any]:
    if document is NOTHING:
        return []
    try:
        return compile_stored(path).find(document)
    except ReveilleError:
        return []  # too large for a path: treated as if nothing were there
