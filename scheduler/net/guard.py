"""Decides whether a URL may be requested: resolves its host once and checks every address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scheduler.net.addresses import IPAddress, unwrap, why_not_public
from scheduler.net.errors import ResolveFailed, UrlRefused
from scheduler.net.policy import VARIABLE, AllowedPrivate, ParsedUrl, address_refusal, check_url
from scheduler.net.resolver import Resolver


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a URL may be requested, the address that would be tried first, and the reason."""

    verdict: Literal["allow", "block"]
    address: str | None
    reason: str


async def admit(target: ParsedUrl, *, resolver: Resolver, allow_private: AllowedPrivate) -> list[IPAddress]:
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
        address, *_ = await admit(target, resolver=resolver, allow_private=allow_private)
    except (UrlRefused, ResolveFailed) as error:
        return Verdict("block", None, error.message)
    what = why_not_public(address)
    reason = f"{address} is a public address" if what is None else f"{address} ({what}) is opened by {VARIABLE}"
    return Verdict("allow", str(address), f"{reason}.")
