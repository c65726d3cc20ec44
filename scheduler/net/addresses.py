"""Tells which IP addresses are on the public internet. Pure: it neither resolves nor connects.

The ranges are listed here instead of using `ipaddress.is_global`, whose answers differ between Python releases and
which treats IPv6 forms that carry an IPv4 address as public. They come from the IANA special-purpose address
registries (RFC 6890) and the RFCs named beside them.
"""

from __future__ import annotations

import functools
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_SPECIAL_V4 = tuple(
    (IPv4Network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this host, RFC 791"),
        ("10.0.0.0/8", "private network, RFC 1918"),
        ("100.64.0.0/10", "carrier-grade NAT, RFC 6598"),
        ("127.0.0.0/8", "loopback, RFC 1122"),
        ("168.63.129.16/32", "cloud metadata, Azure"),
        ("169.254.0.0/16", "link-local and cloud metadata, RFC 3927"),
        ("172.16.0.0/12", "private network, RFC 1918"),
        ("192.0.0.0/24", "protocol assignments, RFC 6890"),
        ("192.0.2.0/24", "documentation, RFC 5737"),
        ("192.80.8.124/32", "cloud metadata, Equinix Metal"),
        ("192.88.99.0/24", "6to4 relay anycast, RFC 7526"),
        ("192.168.0.0/16", "private network, RFC 1918"),
        ("198.18.0.0/15", "benchmarking, RFC 2544"),
        ("198.51.100.0/24", "documentation, RFC 5737"),
        ("203.0.113.0/24", "documentation, RFC 5737"),
        ("224.0.0.0/4", "multicast, RFC 5771"),
        ("255.255.255.255/32", "broadcast, RFC 919"),
        ("240.0.0.0/4", "reserved, RFC 1112"),
    )
)

# The first match names the range. 6to4 and Teredo are refused entirely, whatever IPv4 address they carry: the
# public relays are retired (RFC 7526), so anything that still answers is a private tunnel.
_SPECIAL_V6 = tuple(
    (IPv6Network(network), what)
    for network, what in (
        ("::/128", "unspecified, RFC 4291"),
        ("::1/128", "loopback, RFC 4291"),
        ("::/96", "IPv4-compatible, RFC 4291"),
        ("::ffff:0:0:0/96", "IPv4-translated, RFC 2765"),
        ("64:ff9b:1::/48", "local-use NAT64, RFC 8215"),
        ("100::/64", "discard-only, RFC 6666"),
        ("2001::/32", "Teredo, RFC 4380"),
        ("2001:20::/28", "ORCHIDv2, RFC 7343"),
        ("2001::/23", "protocol assignments, RFC 2928"),
        ("2001:db8::/32", "documentation, RFC 3849"),
        ("2002::/16", "6to4, RFC 3056"),
        ("3fff::/20", "documentation, RFC 9637"),
        ("5f00::/16", "segment routing, RFC 9602"),
        ("fc00::/7", "unique local (private) network, RFC 4193"),
        ("fe80::/10", "link-local, RFC 4291"),
        ("fec0::/10", "site-local, RFC 3879"),
        ("ff00::/8", "multicast, RFC 4291"),
    )
)

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_ISATAP_MARKS = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def unwrap(address: IPAddress) -> IPAddress:
    """Returns the address that a connection really uses: IPv4-mapped IPv6 (::ffff:a.b.c.d, RFC 4291) is IPv4."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@functools.lru_cache(maxsize=4096)  # cached: it looks at up to 18 ranges, for each request
def why_not_public(address: IPAddress) -> str | None:
    """Names the special range that `address` is in; None when it is globally routable.

    Also checks an IPv4 address carried inside IPv6 (IPv4-mapped, NAT64 by RFC 6052, ISATAP by RFC 5214).
    """
    address = unwrap(address)
    if isinstance(address, IPv4Address):
        return next((what for network, what in _SPECIAL_V4 if address in network), None)
    if address in _NAT64:
        return _carried(address, "NAT64")
    for network, what in _SPECIAL_V6:
        if address in network:
            return what
    if address not in _GLOBAL_UNICAST:
        return "not global unicast, RFC 4291"
    if address.packed[8:12] in _ISATAP_MARKS:
        return _carried(address, "ISATAP")
    return None


def _carried(address: IPv6Address, form: str) -> str | None:
    """Checks the IPv4 address in the last 32 bits."""
    inner = IPv4Address(address.packed[12:])
    what = why_not_public(inner)
    return what and f"{form} form of {inner}: {what}"
