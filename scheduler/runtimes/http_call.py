"""Builds the request that wakes an `http` agent from its settings and the invocation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from scheduler.domain.clock import Clock
from scheduler.domain.errors import ConfigurationError
from scheduler.domain.run import RunRequest
from scheduler.domain.signatures import sign_standard_webhooks
from scheduler.domain.templates import WAKE_VALUES, fill, fill_path, fill_text, names_in
from scheduler.runtimes.http_settings import HttpSettings

TOKEN = "token"  # noqa: S105  # the name of a placeholder


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
