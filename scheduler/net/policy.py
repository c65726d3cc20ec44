"""Decides which URLs may be requested, as far as possible without name resolution.

All of `scheduler.net` uses one parser. Anything that is not plainly `http(s)://host[:port]/…` (RFC 3986) is
refused instead of guessed at, since guards are bypassed through two parsers that guess differently.
"""

from __future__ import annotations

import functools
import re
import socket
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Self

import idna

from scheduler.domain.errors import ConfigurationError
from scheduler.net.addresses import IPAddress, IPNetwork, unwrap, why_not_public
from scheduler.net.errors import UrlRefused

VARIABLE = "REVEILLE_ALLOW_PRIVATE_HOSTS"
MAX_URL_LENGTH = 8192

_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_ODD = re.compile(r"[\x00-\x20\x7f\\\s\ud800-\udfff]")
_LOOPBACK = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """A URL in the normalized form in which it is requested.

    `host` is a lower-case ASCII name without a final dot (A-labels, RFC 5891), or an IP address without brackets.
    `address` is set when the host is an IP address in any notation. `target` is the path and query.
    """

    scheme: str
    host: str
    port: int
    target: str
    address: IPAddress | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port (RFC 6454)."""
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target}"


@dataclass(frozen=True, slots=True)
class AllowedPrivate:
    """What the operator allowed: hosts by name, whatever they resolve to, and networks by address.

    `hosts` and `networks` are allowed on every port, `at_ports` and `networks_at_ports` only on the given one.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPNetwork, ...] = ()
    at_ports: frozenset[tuple[str, int]] = frozenset()
    networks_at_ports: tuple[tuple[IPNetwork, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads comma-separated host names, IP addresses and CIDR networks: `intranet,10.0.0.0/8,[::1]:9000`.

        Raises ConfigurationError naming the invalid entry.
        """
        hosts: set[str] = set()
        networks: list[IPNetwork] = []
        at_ports: set[tuple[str, int]] = set()
        networks_at_ports: list[tuple[IPNetwork, int]] = []
        for entry in filter(None, map(str.strip, text.split(","))):
            place, port = _place_and_port(entry)
            network = _network(place)
            if network is not None and port is not None:
                networks_at_ports.append((network, port))
            elif network is not None:
                networks.append(network)
            elif port is not None:
                at_ports.add((_allowed_name(place), port))
            else:
                hosts.add(_allowed_name(place))
        return cls(frozenset(hosts), tuple(networks), frozenset(at_ports), tuple(networks_at_ports))

    def allows(self, host: str, address: IPAddress, port: int | None = None) -> bool:
        """Whether `address` may be reached as `host` on `port` although it is not public."""
        if host in self.hosts or any(address in network for network in self.networks):
            return True
        return (host, port) in self.at_ports or any(
            port == open_port and address in network for network, open_port in self.networks_at_ports
        )

    def and_loopback(self) -> Self:
        """Returns these plus the loopback addresses."""
        return replace(self, networks=(*self.networks, ip_network("127.0.0.0/8"), ip_network("::1/128")))


_EVERYTHING = AllowedPrivate(networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))


@functools.lru_cache(maxsize=1024)  # cached: each request checks its URL twice
def check_url(url: str, allow_private: AllowedPrivate) -> ParsedUrl:
    """Applies every rule that needs no name resolution. IP addresses and `localhost` (RFC 6761) are decided here.

    Raises UrlRefused, saying which rule applies and what to do.
    """
    if len(url) > MAX_URL_LENGTH:
        raise UrlRefused(f"The URL is longer than {MAX_URL_LENGTH} characters; shorten it.")
    if _ODD.search(url):
        raise UrlRefused("The URL has a space, backslash or control character; percent-encode it.")
    parts = _URL.fullmatch(url)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in _DEFAULT_PORTS:
        raise UrlRefused("Only http:// and https:// URLs with a host are requested; give the whole URL.")
    host, port = _host_and_port(parts["authority"], _DEFAULT_PORTS[scheme])
    return _judged(scheme, host, port, (parts["path"] or "/") + (parts["query"] or ""), allow_private)


def check_server(host: str, port: int, allow_private: AllowedPrivate, *, own_port: int) -> ParsedUrl:
    """Applies the same rules to a server with another protocol, whose own port is allowed too.

    `host`: a name or an address without brackets. Raises UrlRefused.
    """
    if _ODD.search(host) or len(host) > MAX_URL_LENGTH:
        raise UrlRefused("The host has a space or another character that no host name has; correct it.")
    if port != own_port and not 1024 <= port <= 65535:
        raise UrlRefused(f"The port is not open to requests; use {own_port} or 1024 to 65535.")
    return _judged("https", _ascii(f"[{host}]" if ":" in host else host), port, "/", allow_private)


def _judged(scheme: str, host: str, port: int, target: str, allow_private: AllowedPrivate) -> ParsedUrl:
    address = _address(host)
    if address is not None:
        refusal = address_refusal(str(address), address, allow_private, port)
        if refusal is not None:
            raise refusal
        return ParsedUrl(scheme, str(address), port, target, address)
    name = _name(host)
    if (name == "localhost" or name.endswith(".localhost")) and not any(
        allow_private.allows(name, address, port) for address in _LOOPBACK
    ):
        raise UrlRefused(f"{name} is this machine itself; to reach it, {_remedy(name, port)}.")
    return ParsedUrl(scheme, name, port, target, None)


def origin_of(url: str) -> tuple[str, str, int]:
    """Returns a URL's scheme, host and port for comparison, without checking whether it may be requested.

    Raises UrlRefused for an invalid URL.
    """
    return check_url(url, _EVERYTHING).origin


def address_refusal(
    host: str, address: IPAddress, allow_private: AllowedPrivate, port: int | None = None
) -> UrlRefused | None:
    """Returns the error for an address that is neither public nor allowed by the operator, else None."""
    what = why_not_public(address)
    if what is None or allow_private.allows(host, address, port):
        return None
    subject = f"{host} is" if host == str(address) else f"{host} resolves to {address}, which is"
    return UrlRefused(
        f"{subject} not a public address ({what}). If it is a server of yours, {_remedy(host, port)}."
    )


def normal_host(host: str) -> str:
    """Normalizes `host` to the form of ParsedUrl. Raises UrlRefused when it is not a host."""
    host = _ascii(host)
    address = _address(host)
    return _name(host) if address is None else str(address)


def _remedy(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"have the operator add {host if port is None else f'{shown}:{port}'} to {VARIABLE}"


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        raise UrlRefused("The URL carries credentials; leave them out and send them in a header.")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise UrlRefused("The URL's host or port is malformed; write http://host:port/ with a numeric port.")
    port = int(parts["port"][:6]) if parts["port"] else default_port
    if port not in (80, 443) and not 1024 <= port <= 65535:
        raise UrlRefused("The URL's port is not open to requests; use 80, 443 or 1024 to 65535.")
    return _ascii(parts["host"]), port


def _ascii(host: str) -> str:
    """Converts to lower-case A-labels without a final dot.

    UTS #46 also folds full-width digits and dots, as browsers do.
    """
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise UrlRefused(f"The URL's host is not a valid international name: {error}.") from None
    return host.lower().removesuffix(".")


def _address(host: str) -> IPAddress | None:
    """Returns the IP address that `host` denotes, or None for a name. Never resolves.

    Octal, hexadecimal and short forms of IPv4 are parsed by the C library, which is also what would connect.
    """
    if host.startswith("["):
        try:
            address = IPv6Address(host[1:-1] if host.endswith("]") else host)
        except ValueError:
            address = None
        if address is None or address.scope_id is not None:
            raise UrlRefused("The URL's host is not an IPv6 address without a zone, as in [2001:db8::1].")
        return unwrap(address)
    if not _ENDS_IN_NUMBER.fullmatch(host):
        return None
    try:
        # Encoded to bytes, since Python's IDNA codec would raise on an empty label.
        answers = socket.getaddrinfo(
            host.encode(), None, family=socket.AF_INET, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except OSError:
        raise UrlRefused(f"{host} looks like an IPv4 address but is not one; correct it.") from None
    return ip_address(answers[0][4][0])


def _name(host: str) -> str:
    if not _NAME.fullmatch(host):
        raise UrlRefused("The URL's host is empty or contains invalid characters; correct it.")
    return host


def _place_and_port(entry: str) -> tuple[str, int | None]:
    """Splits `host:port`, `[::1]:port` and `10.0.0.0/8:port`; a bare IPv6 address has no port."""
    place, colon, port = entry.rpartition(":")
    is_bare = not colon or "://" in entry or (":" in place and not place.startswith("[") and "/" not in place)
    if is_bare or place.endswith(":") or not (port.isascii() and port.isdigit()):
        return entry, None
    if not 1 <= int(port[:6]) <= 65535:
        raise ConfigurationError(f"{VARIABLE}: {entry!r} has no port from 1 to 65535.", field=VARIABLE)
    return place, int(port)


def _network(entry: str) -> IPNetwork | None:
    bare = entry[1:-1] if entry.startswith("[") and entry.endswith("]") else entry
    try:
        return ip_network(bare)
    except ValueError:
        if "/" not in entry or "://" in entry:
            return None
    try:
        meant = ip_network(entry, strict=False)
    except ValueError:
        raise ConfigurationError(
            f"{VARIABLE}: {entry!r} is not a network; write it as 10.0.0.0/8.", field=VARIABLE
        ) from None
    raise ConfigurationError(
        f"{VARIABLE}: {entry!r} has bits set beyond its prefix; write {meant} if you mean that.", field=VARIABLE
    )


def _allowed_name(entry: str) -> str:
    try:
        return normal_host(entry)
    except UrlRefused:
        raise ConfigurationError(
            f"{VARIABLE}: {entry!r} is not a host name, IP address or network; "
            "write it as intranet or 10.0.0.7:9000, without scheme and wildcards.",
            field=VARIABLE,
        ) from None
