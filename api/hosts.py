"""Checks the host and origin of requests, and sets the security headers of responses."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, request

from api.services import services
from scheduler.domain.errors import ReveilleError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that monitoring requests by IP address, and whose responses contain no addresses."""
A_YEAR = 365 * 24 * 3600
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class UnknownHost(ReveilleError):
    """The request was sent to a host name that is not known to belong to this service."""

    status = 400
    problem = "unknown-host"


class CrossSite(ReveilleError):
    """The form was sent by another site."""

    status = 403
    problem = "cross-site"


def check_host() -> None:
    """Raises UnknownHost for a foreign host name, since it would appear in the addresses that we give out.

    Loopback and REVEILLE_ALLOWED_HOSTS are ours. With REVEILLE_PUBLIC_URL no response uses the name, so without a
    list of hosts any name is accepted, as proxies send their own.
    """
    settings = services().settings
    if request.path in PROBES or (settings.public_url and not settings.allowed_hosts):
        return
    # With a duplicate or invalid header, `request.host` is empty and the addresses would have no host.
    name = _hostname(request.host)
    ours = {_hostname(urlsplit(settings.public_url).netloc)} if settings.public_url else set()
    if name and (
        name in LOOPBACK | ours or any(_covers(host, name) for host in settings.allowed_hosts.split(","))
    ):
        return
    raise UnknownHost(
        f"The host {_sent()[:100]!r} is not allowed. If it is yours, set REVEILLE_PUBLIC_URL to its address, or "
        "add the host to REVEILLE_ALLOWED_HOSTS."
    )


def _sent() -> str:
    return request.headers.get("Host", "").strip()


def check_origin() -> None:
    """Raises CrossSite for a form that another site's page sent (Origin, RFC 6454; Sec-Fetch-Site)."""
    if request.method != "POST":
        return
    origin = request.headers.get("Origin")
    public = services().settings.public_url
    ours = {request.host.lower(), urlsplit(public).netloc.lower() if public else ""}
    from_elsewhere = origin is not None and urlsplit(origin).netloc.lower() not in ours - {""}
    if from_elsewhere or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise CrossSite("This form was sent by another site. Open the page here and submit it again.")


def set_security_headers(response: Response) -> None:
    """Sets the headers that every response has."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure or (services().settings.public_url or "").startswith("https:"):
        response.headers.setdefault("Strict-Transport-Security", f"max-age={A_YEAR}")


def _hostname(authority: str) -> str:
    """Normalizes to lower case, without port, brackets and final dot."""
    return (urlsplit(f"//{authority}").hostname or "").removesuffix(".")


def _covers(allowed: str, name: str) -> bool:
    allowed = allowed.strip().lower().strip("[]")
    return allowed == "*" or allowed == name or (allowed.startswith("*.") and name.endswith(allowed[1:]))
