"""Checks a request before it is made."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.domain.errors import InvalidField
from scheduler.net import policy
from scheduler.net.errors import UrlRefused
from scheduler.net.headers import check_headers
from scheduler.net.policy import AllowedPrivate, check_url


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
