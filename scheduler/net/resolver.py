"""Resolves host names, with the system's resolver or from fixed answers, and decides whether a URL may be requested,
also for `reveille check-url`.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal, Protocol

import anyio
import anyio.to_thread

from scheduler.domain.errors import InvalidField
from scheduler.net.addresses import IPAddress, unwrap, why_not_public
from scheduler.net.errors import ResolveFailed, UrlRefused
from scheduler.net.policy import VARIABLE, AllowedPrivate, ParsedUrl, address_refusal, check_url, normal_host

# A pool of its own, so that look-ups that hang do not use up the shared threads.
_MAX_LOOKUPS = 64


class Resolver(Protocol):
    """Turns a host name into addresses."""

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        """Returns every address of `host` (an ASCII name) in order of preference. Raises ResolveFailed."""
        ...


class SystemResolver:
    """The operating system's resolver (`getaddrinfo`): hosts file, name servers, RFC 6724 order."""

    def __init__(self, *, timeout: float = 5.0) -> None:
        self._timeout = timeout
        self._limiter = anyio.CapacityLimiter(_MAX_LOOKUPS)

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        """Returns every address of `host`. Raises ResolveFailed, also after the timeout."""
        try:
            with anyio.fail_after(self._timeout):
                return await anyio.to_thread.run_sync(
                    _getaddrinfo, host, abandon_on_cancel=True, limiter=self._limiter
                )
        except TimeoutError:
            raise ResolveFailed(f"{host} did not resolve within {self._timeout:g} s.") from None
        except OSError as error:
            raise ResolveFailed(f"{host} does not resolve: {error.strerror or error}.") from None


class FixtureResolver:
    """Resolves from fixed answers. Other hosts go to `fallback`, or fail to resolve without one."""

    def __init__(self, answers: Mapping[str, Sequence[IPAddress]], *, fallback: Resolver | None = None) -> None:
        self._answers = answers
        self._fallback = fallback

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        """Returns the listed addresses of `host`. Raises ResolveFailed."""
        if host in self._answers:
            return self._answers[host]
        if self._fallback is not None:
            return await self._fallback.resolve(host)
        raise ResolveFailed(f"{host} does not resolve.")


def _getaddrinfo(host: str) -> Sequence[IPAddress]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in answers]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a URL may be requested, the address that would be tried first, and the reason."""

    verdict: Literal["allow", "block"]
    address: str | None
    reason: str


async def allowed_addresses(
    target: ParsedUrl, *, resolver: Resolver, allow_private: AllowedPrivate
) -> list[IPAddress]:
    """Returns the addresses to connect to for `target`, best first, never empty. Resolves once.

    One bad address refuses the whole name: mixing public and private addresses is an attack or a mistake. Raises
    UrlRefused and ResolveFailed.
    """
    answers = [target.address] if target.address else await resolver.resolve(target.host)
    addresses = list(dict.fromkeys(map(unwrap, answers)))
    if not addresses:
        raise ResolveFailed(f"{target.host} does not resolve: no addresses.")
    for address in addresses:
        refusal = address_refusal(target.host, address, allow_private, target.port)
        if refusal is not None:
            raise refusal
    return addresses


async def decide(url: str, *, resolver: Resolver, allow_private: AllowedPrivate) -> Verdict:
    """Checks `url` without connecting. A host that does not resolve is blocked too."""
    try:
        target = check_url(url, allow_private)
        address, *_ = await allowed_addresses(target, resolver=resolver, allow_private=allow_private)
    except (UrlRefused, ResolveFailed) as error:
        return Verdict("block", None, error.message)
    what = why_not_public(address)
    reason = f"{address} is a public address" if what is None else f"{address} ({what}) is opened by {VARIABLE}"
    return Verdict("allow", str(address), f"{reason}.")


def check_url_line(request: dict[str, Any], *, allow_private: AllowedPrivate | None = None) -> dict[str, Any]:
    """Checks `{url, resolve?: {host: [ip, …]}}` and returns `{verdict: "allow"|"block", address?, reason}`.

    `resolve` replaces the name server for the listed hosts; all others are really resolved. Nothing is connected
    to. Raises InvalidField for a malformed request.
    """
    url = request.get("url")
    if not isinstance(url, str):
        raise InvalidField("url must be a string.", field="url")
    resolver = FixtureResolver(_answers(request.get("resolve")), fallback=SystemResolver())

    async def judge() -> dict[str, Any]:
        verdict = await decide(url, resolver=resolver, allow_private=allow_private or AllowedPrivate())
        address = {} if verdict.address is None else {"address": verdict.address}
        return {"verdict": verdict.verdict, **address, "reason": verdict.reason}

    return anyio.run(judge)


def _answers(resolve: object) -> Mapping[str, Sequence[IPAddress]]:
    if resolve is None:
        return {}
    if not isinstance(resolve, dict):
        raise InvalidField("resolve must be an object of hosts and lists of addresses.", field="resolve")
    return {normal_host(str(host)): _addresses(str(host), answers) for host, answers in resolve.items()}


def _addresses(host: str, answers: object) -> Sequence[IPAddress]:
    field = f"resolve.{host}"
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise InvalidField(f"{field} must be a list of IP addresses.", field=field)
    try:
        return [ip_address(answer) for answer in answers]
    except ValueError as error:
        raise InvalidField(f"{field}: {error}.", field=field) from None
