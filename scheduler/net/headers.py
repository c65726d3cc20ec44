"""Checks a request before it is made, its headers among it, and which headers follow a redirect."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from scheduler.domain.errors import InvalidField
from scheduler.net import policy
from scheduler.net.errors import UrlRefused
from scheduler.net.policy import AllowedPrivate, check_url

# Framing, routing and the connection itself belong to the client (RFC 9110 §7.6.1, RFC 9112 §6).
_RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
_ABOUT_THE_BODY = frozenset({"content-encoding", "content-language", "content-type"})
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")


class Headers(Mapping[str, str]):
    """Fields by name, which is case-insensitive; the values of a repeated one are joined (RFC 9110 §5.2)."""

    def __init__(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in fields:
            key, text = name.decode("latin-1").lower(), _decoded(value)
            self._values[key] = f"{self._values[key]}, {text}" if key in self._values else text

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises InvalidField for a header that HTTP does not allow (RFC 9110 §5) or that callers may not set."""
    for name, value in headers.items():
        if not is_header_name(name):
            raise InvalidField(f"{name!r} is not a header name; use letters, digits and hyphens.", field="headers")
        if name.lower() in _RESERVED or name.lower().startswith("proxy-"):
            raise InvalidField(f"The header {name} is set by the client itself; leave it out.", field="headers")
        # The value may be secret and is left out of the message.
        if not _VALUE.fullmatch(value):
            raise InvalidField(
                f"The value of the header {name} must be printable ASCII without spaces around it.",
                field="headers",
            )


def is_header_name(text: str) -> bool:
    """Whether `text` is a token, as the name of a header must be (RFC 9110 §5.1)."""
    return _NAME.fullmatch(text) is not None


def check_names_differ(headers: Mapping[str, str | None]) -> None:
    """Raises InvalidField for a duplicate name; names are case-insensitive (RFC 9110 §5.1)."""
    seen: set[str] = set()
    for name in headers:
        if name.lower() in seen:
            raise InvalidField(f"The header {name} occurs twice; names are case-insensitive.", field="headers")
        seen.add(name.lower())


def after_redirect(headers: Mapping[str, str], *, same_origin: bool, with_body: bool) -> dict[str, str]:
    """Returns the headers for the next hop. Another origin never receives potentially secret headers."""
    kept = dict(headers)
    if not with_body:
        kept = {name: value for name, value in kept.items() if name.lower() not in _ABOUT_THE_BODY}
    if not same_origin:
        kept = {name: value for name, value in kept.items() if name.lower() in _HARMLESS | _ABOUT_THE_BODY}
    return kept


def check_request(url: str, headers: Mapping[str, str], *, allow_private: AllowedPrivate) -> None:
    """Raises InvalidField on `url` or `headers` for what the guarded client would refuse without resolving."""
    check_headers(headers)
    check_address(url, "url", allow_private)


def check_address(url: str, field: str, allow_private: AllowedPrivate) -> None:
    """Raises InvalidField on `field` for a URL that may not be requested, as far as known without resolving."""
    try:
        check_url(url, allow_private)
    except UrlRefused as error:
        raise InvalidField(error.message, field=field) from None


def check_server(host: str, port: int, own_port: int, *, allow_private: AllowedPrivate) -> None:
    """Raises InvalidField on `host` for a server that may not be connected to, as far as known without resolving."""
    try:
        policy.check_server(host, port, allow_private, own_port=own_port)
    except UrlRefused as error:
        raise InvalidField(error.message, field="host") from None
