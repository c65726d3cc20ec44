"""Implements `reveille check-url`: one JSON object in, one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import anyio

from scheduler.domain.errors import InvalidField
from scheduler.net.addresses import IPAddress
from scheduler.net.policy import AllowedPrivate, normal_host
from scheduler.net.resolver import FixtureResolver, SystemResolver, decide


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
