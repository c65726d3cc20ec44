"""The request of a kind that checks a URL: what it may and may not send."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, field_validator

from scheduler.domain.errors import InvalidField
from scheduler.triggers.base import CheckContext, TriggerConfig

MAX_BODY_BYTES = 64 * 1024
MAX_HEADERS = 50
MAX_HEADER_CHARS = 16 * 1024

OWN_HEADERS = frozenset(
    {"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"}
)
"""Conditional requests (RFC 9110 section 13) are made by the poll itself; it needs the whole response or a 304."""


class RequestConfig(TriggerConfig):
    """A request that is repeated."""

    url: str = Field(min_length=1, title="URL", description="The URL that is checked.")
    method: Literal["GET", "POST", "PUT", "PATCH"] = Field(default="GET", title="Method")
    headers: dict[str, str] = Field(
        default_factory=dict,
        max_length=MAX_HEADERS,
        title="Headers",
        description="Sent with each request; stored encrypted.",
    )
    body: Any = Field(
        default=None,
        title="Body",
        description="Text, sent unchanged, or an object or list, sent as JSON.",
    )

    @field_validator("body")
    @classmethod
    def _is_content(cls, value: object) -> object:
        if not isinstance(value, str | dict | list | None):
            raise ValueError("must be a text, an object or a list")
        return value

    def content(self) -> bytes | None:
        """Returns the body of the request."""
        if self.body is None:
            return None
        return (self.body if isinstance(self.body, str) else json.dumps(self.body, allow_nan=False)).encode()

    def check_request(self, context: CheckContext) -> None:
        """Raises InvalidField for a request that would be refused."""
        for name in self.headers:
            if name.lower() in OWN_HEADERS:
                raise InvalidField(f"The header {name} is set by the poll itself; leave it out.", field="headers")
        if sum(len(name) + len(value) for name, value in self.headers.items()) > MAX_HEADER_CHARS:
            raise InvalidField(f"headers have more than {MAX_HEADER_CHARS} characters.", field="headers")
        if self.body is not None and self.method == "GET":
            raise InvalidField("A GET has no body; leave it out, or set method to POST.", field="body")
        try:
            size = len(self.content() or b"")
        except (ValueError, TypeError, RecursionError):  # surrogates, non-JSON values, endless nesting
            raise InvalidField("body is neither a text nor JSON.", field="body") from None
        if size > MAX_BODY_BYTES:
            raise InvalidField(f"body is {size} bytes long; {MAX_BODY_BYTES} are allowed.", field="body")
        context.check_request(self.url, self.headers)
        names = [name.lower() for name in self.headers]
        for name in self.headers:
            if names.count(name.lower()) > 1:
                raise InvalidField(f"The header {name} occurs twice; names are case-insensitive.", field="headers")
