"""The only HTTP client for URLs that users choose."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin

import httpx

from scheduler.domain.errors import InvalidField
from scheduler.net.body import ACCEPT_ENCODING, read_body
from scheduler.net.connection import KEPT_SECONDS, Connection, Connector, KeptConnections, write_request
from scheduler.net.errors import AnswerBroken, ConnectFailed, TimedOut, TooLarge, TooManyRedirects, UrlRefused
from scheduler.net.headers import Headers, after_redirect, check_headers
from scheduler.net.policy import AllowedPrivate, ParsedUrl, check_url
from scheduler.net.resolver import Resolver
from scheduler.net.response import Head
from scheduler.net.transport import Gate, GuardedTransport

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DEFAULTS = {"user-agent": ("User-Agent", "Reveille"), "accept": ("Accept", "*/*")}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: `body` is decoded, `headers` are case-insensitive, `url` is the final one after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    url: str


@dataclass(frozen=True, slots=True)
class _Call:
    """One hop."""

    method: str
    target: ParsedUrl
    headers: Mapping[str, str]
    content: bytes | None

    def redirected(self, status: int, target: ParsedUrl) -> _Call:
        """Returns the next hop (RFC 9110 §15.4): 303 becomes GET, as does a POST at 301 and 302."""
        to_get = (status == 303 and self.method != "HEAD") or (status in (301, 302) and self.method == "POST")
        method, content = ("GET", None) if to_get else (self.method, self.content)
        same_origin = target.origin == self.target.origin
        headers = after_redirect(self.headers, same_origin=same_origin, with_body=content is not None)
        return _Call(method, target, headers, content)


class GuardedClient:
    """Makes requests only to public addresses and to those that the operator allowed.

    Uses no proxies, cookies or credentials from the environment; safe for concurrent callers on one event loop.
    Requests go straight to the transport, as an httpx client would carry cookies from one caller to the next.
    """

    def __init__(
        self,
        *,
        allow_private: AllowedPrivate,
        resolver: Resolver | None = None,
        connect_timeout: float = 10.0,
        connector: Connector | None = None,
        keeps_alive: bool = False,
    ) -> None:
        """`keeps_alive`: requests that follow each other closely may share a connection."""
        self._gate = Gate(allow_private=allow_private, resolver=resolver, connector=connector)
        self._connect_timeout = connect_timeout
        self._kept = KeptConnections(KEPT_SECONDS if keeps_alive else 0.0)
        self.transport = GuardedTransport(self._gate)
        """The same for the clients of libraries: `httpx_client` and `httpx2_client`."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float,
        max_bytes: int,
        truncate: bool = False,
        lenient: bool = False,
        follow_redirects: bool = False,
        max_redirects: int = 5,
    ) -> Answer:
        """Makes one request, complete within `timeout` seconds from name resolution to the last byte of the body.

        `max_bytes` limits the decoded body; a longer one is truncated if `truncate` is set. With `lenient`, a body
        that cannot be decoded is returned as sent. Every redirect is checked like the first URL; when redirects
        are not followed, the 3xx response is returned. Raises UrlRefused, ResolveFailed, ConnectFailed, TimedOut,
        AnswerBroken, TooLarge, TooManyRedirects, and InvalidField for `headers` or `method`.
        """
        check_headers(headers or {})
        call = _Call(method, check_url(url, self._gate.allow_private), headers or {}, content)
        try:
            async with asyncio.timeout(timeout):
                for _ in range(max_redirects + 1 if follow_redirects else 1):
                    with _errors(call.target):
                        answer = await self._hop(call, max_bytes, truncate, lenient, follow_redirects)
                    if isinstance(answer, Answer):
                        return answer
                    call = answer
        except TimeoutError:
            raise TimedOut(f"{call.target.host} did not answer in full within {timeout:g} s.") from None
        raise TooManyRedirects(f"More than {max_redirects} redirects, the last one to {call.target.host}.")

    async def aclose(self) -> None:
        """Closes the connections that are kept."""
        self._kept.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _hop(
        self, call: _Call, max_bytes: int, truncate: bool, lenient: bool, follow: bool
    ) -> Answer | _Call:
        """Sends one request; returns its response, or the next request for a redirect to follow."""
        began = asyncio.get_running_loop().time()
        connection, head = await self._sent(call)
        try:
            headers = Headers(head.fields)
            location = headers.get("location")
            if follow and head.status in _REDIRECTS and location:
                return call.redirected(head.status, self._next_target(call, location))
            encoding = headers.get("content-encoding", "")
            body, cut = await read_body(connection.chunks(), encoding, max_bytes, lenient=lenient)
        finally:
            self._kept.add(connection, began)
        if cut and not truncate:
            raise TooLarge(f"The response from {call.target.host} is larger than {max_bytes} bytes.")
        return Answer(head.status, headers, body, cut, str(call.target))

    async def _sent(self, call: _Call) -> tuple[Connection, Head]:
        """Sends a request and returns the head of its response.

        What breaks before any answer on a connection that was kept is sent again on a new one: most likely the server
        had just closed it. It may have received the request, as with any connection that breaks.
        """
        message = _written(call, "keep-alive" if self._kept.seconds else "close")
        places = await self._gate.places(call.target)
        kept = self._kept.take(places)
        while True:
            connection = kept or await self._gate.connect(places, self._connect_timeout)
            try:
                return connection, await connection.send(call.method, message)
            except BaseException as error:
                connection.close()
                if kept is None or kept.has_answered or not isinstance(error, httpx.TransportError):
                    raise
                kept = None

    def _next_target(self, call: _Call, location: str) -> ParsedUrl:
        try:
            url = urljoin(str(call.target), location)
        except ValueError:
            raise UrlRefused(f"{call.target.host} redirects to an invalid URL.") from None
        try:
            return check_url(url, self._gate.allow_private)
        except UrlRefused as error:
            raise UrlRefused(f"{call.target.host} redirects to a URL that is refused: {error.message}") from None


def _written(call: _Call, connection: str) -> bytes:
    """Returns the request as bytes, with our own headers and the caller's."""
    host, path = _host_and_path(call.target)
    given = {name.lower(): (name, value) for name, value in call.headers.items()}
    headers = [
        *(_DEFAULTS | given).values(),
        ("Accept-Encoding", ACCEPT_ENCODING),
        ("Connection", connection),
    ]
    fields = [(b"Host", host), *((name.encode(), value.encode()) for name, value in headers)]
    return write_request(call.method, path, fields, call.content or b"")


@functools.lru_cache(maxsize=1024)
def _host_and_path(target: ParsedUrl) -> tuple[bytes, bytes]:
    """Returns the Host header of a URL, and its path and query, percent-encoded."""
    url = httpx.URL(str(target))
    return url.netloc, url.raw_path


@contextlib.contextmanager
def _errors(target: ParsedUrl) -> Iterator[None]:
    """Converts httpx's errors to ours. None of them contains the URL, whose query may be secret."""
    where = f"{target.host}, port {target.port}"
    try:
        yield
    except httpx.ConnectTimeout:
        raise TimedOut(f"No connection to {where} in time.") from None
    except httpx.ConnectError as error:
        raise ConnectFailed(f"No connection to {where}: {error}.") from None
    except httpx.LocalProtocolError as error:
        raise InvalidField(f"The request is not valid HTTP: {error}.", field="method") from None
    except httpx.TransportError as error:
        raise AnswerBroken(f"The response from {where} was cut off: {error or type(error).__name__}.") from None
