"""The call of an `http` agent: its request, made of its settings and the invocation, and what a response means: a
reply, a permanent failure, or a failure to retry.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from scheduler.domain.charsets import decode
from scheduler.domain.clock import Clock
from scheduler.domain.errors import ConfigurationError, ReveilleError
from scheduler.domain.json_path import compile_stored
from scheduler.domain.json_values import read_json
from scheduler.domain.llm import ResponseUsage, read_usage
from scheduler.domain.run import Failed, Outcome, Replied, RunRequest
from scheduler.domain.signatures import sign_standard_webhooks
from scheduler.domain.templates import WAKE_VALUES, as_text, fill, fill_path, fill_text, names_in
from scheduler.net.client import Answer
from scheduler.net.errors import is_put_off, parse_retry_after
from scheduler.runtimes.base import MAX_REPLY_BYTES
from scheduler.runtimes.http_settings import HttpSettings
from scheduler.runtimes.replies import AROUND, parse_object, read_reply

TOKEN = "token"  # noqa: S105  # the name of a placeholder
TEMPORARY = frozenset({408, 425, 429})
"""The 4xx that say "later": Request Timeout, Too Early, Too Many Requests."""
EXCERPT = 500
"""Characters of an error's body that are kept."""
NOTHING: Any = object()
"""The document of a body that is not JSON."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None


class Caller:
    """Builds the requests of one run: the one that wakes the agent, and those that follow its run."""

    def __init__(self, settings: HttpSettings, request: RunRequest, clock: Clock) -> None:
        self._settings = settings
        self._request = request
        self._clock = clock

    def value(self, name: str) -> Any:
        """Returns the value of a placeholder."""
        given = self._settings.parameters or {}
        return given[name] if name in given else WAKE_VALUES[name](self._request)

    def wake(self) -> Call:
        """Returns the request that wakes the agent."""
        settings = self._settings
        method = settings.method or "POST"
        headers = dict(self._own_headers())
        if self._request.traceparent is not None and not any(each.lower() == "traceparent" for each in headers):
            headers["traceparent"] = self._request.traceparent
        content = None if method == "GET" else self._content(headers)
        return Call(method, self.address(), headers | self._signature(content or b""), content)

    def at(self, url: str, method: str = "GET") -> Call:
        """Returns a request about a run that was begun. Another host gets nothing that may be secret."""
        if urlsplit(url)[:2] != urlsplit(self._settings.url)[:2]:
            return Call(method, url, {}, None)
        return Call(method, url, dict(self._own_headers()) | self._signature(b""), None)

    def address(self) -> str:
        """Returns the agent's URL."""
        if self._settings.path is None:
            return self._settings.url
        return joined(self._settings.url, fill_path(self._settings.path, self.value))

    def beside(self, path: str) -> str:
        """Returns the URL of another path: below the configured URL like the agent's own path, else on its host."""
        return (
            urljoin(self._settings.url, path) if self._settings.path is None else joined(self._settings.url, path)
        )

    def _own_headers(self) -> Iterator[tuple[str, str]]:
        """Yields the configured headers, without those whose token is missing."""
        token = self._settings.token
        is_placed = False
        for name, value in (self._settings.headers or {}).items():
            if TOKEN in names_in(value):
                is_placed = True
                if token is None:
                    continue
            yield name, fill_text(value, lambda each: token if each == TOKEN else self.value(each))
        if token is not None and not is_placed:
            yield "Authorization", f"Bearer {token}"

    def _content(self, headers: dict[str, str]) -> bytes:
        """Returns the body: JSON, or plain text if a header says that it is not JSON."""
        kind = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
        if kind is None:
            headers["Content-Type"] = "application/json"
        if self._settings.body is None:
            return self._request.to_json()
        filled = fill(self._settings.body, self.value)
        if kind is not None and "json" not in kind.lower() and isinstance(filled, str):
            return filled.encode("utf-8", "replace")
        return json.dumps(filled, ensure_ascii=False).encode("utf-8", "replace")

    def _signature(self, body: bytes) -> dict[str, str]:
        if self._settings.sign is False:
            return {}
        timestamp = int(self._clock.now().timestamp())
        try:
            return sign_standard_webhooks(
                self._settings.secret or "", str(self._request.invocation_id), timestamp, body
            )
        except ValueError:
            raise ConfigurationError("The agent's secret cannot sign: it must be whsec_ and base64.") from None


def joined(url: str, path: str) -> str:
    """Returns `url` with `path` appended. An overlap between its end and the start of `path` is merged."""
    parts = urlsplit(url)
    added, _, query = path.partition("?")
    own = [each for each in parts.path.split("/") if each]
    more = added.removeprefix("/").split("/")
    overlap = next((n for n in range(min(len(own), len(more)), 0, -1) if own[-n:] == more[:n]), 0)
    whole = "/" + "/".join([*own, *more[overlap:]])
    return urlunsplit(parts._replace(path=whole, query="&".join(filter(None, (parts.query, query)))))


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
