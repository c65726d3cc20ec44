"""The connections of a web process that keep it waiting, and who makes way when there are too many."""

from __future__ import annotations

import asyncio
import ipaddress
import resource
from collections.abc import Callable
from typing import Protocol

from api.server.limits import DEFAULTS, Limits

SWEEP_SECONDS = 0.5
SPARE_FILES = 4500
"""Files that are no connections of the server: live pages, WebSockets, the database."""


class Guest(Protocol):
    """A connection as the gate sees it."""

    address: str
    held: int
    """Bytes of a body that is not whole."""

    @property
    def is_idle(self) -> bool:
        """Whether it is between two requests, which does no harm."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes of an answer that was not taken."""
        ...

    def check(self, now: float) -> None:
        """End it if it takes too long."""
        ...

    def evict(self) -> None:
        """End it, to make room."""
        ...


class Gate:
    """All connections of a process. To be used on its event loop."""

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self.limits = limits
        self.held = 0
        """Bytes of bodies that are not whole."""
        self.guests: dict[Guest, None] = {}
        self._waiting: dict[str, dict[Guest, None]] = {}
        allowed = _allowed_files()
        self._most = min(limits.connections, max(allowed - SPARE_FILES, allowed // 2))

    def admit(self, guest: Guest) -> bool:
        """Take a new connection in, if need be in place of one that waits; False if there is none to make way."""
        if len(self.guests) >= self._most and not self._evict_from_heaviest():
            return False
        self.guests[guest] = None
        return True

    def forget(self, guest: Guest) -> None:
        """It is gone."""
        self.release(guest)
        self.guests.pop(guest, None)

    def wait(self, guest: Guest) -> None:
        """We wait for a request of this one from now on."""
        waiting = self._waiting.setdefault(guest.address, {})
        waiting[guest] = None
        if len(waiting) > self.limits.per_address:
            _slowest(waiting).evict()

    def release(self, guest: Guest) -> None:
        """We wait for this one no more."""
        self.held -= guest.held
        guest.held = 0
        waiting = self._waiting.get(guest.address)
        if waiting is not None:
            waiting.pop(guest, None)
            if not waiting:
                del self._waiting[guest.address]

    def hold(self, guest: Guest, count: int) -> None:
        """Count bytes of a body; when all of them are too many, the address that waits most makes way."""
        guest.held += count
        self.held += count
        if self.held > self.limits.held_bytes:
            self._evict_from_heaviest()

    def sweep(self, now: float) -> None:
        """End what takes too long, and the fattest of the answers that nobody takes."""
        unsent = 0
        for guest in list(self.guests):
            guest.check(now)
            unsent += guest.unsent
        while unsent > self.limits.held_bytes:
            fattest = max(self.guests, key=lambda guest: guest.unsent)
            unsent -= fattest.unsent
            fattest.evict()

    async def watch(self, clock: Callable[[], float]) -> None:
        """Sweep again and again."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(clock())

    def _evict_from_heaviest(self) -> bool:
        if not self._waiting:
            return False
        _slowest(max(self._waiting.values(), key=len)).evict()
        return True


def _slowest(waiting: dict[Guest, None]) -> Guest:
    """Of one address: the oldest whose request began and is not whole, else the oldest."""
    return next((guest for guest in waiting if not guest.is_idle), next(iter(waiting)))


def group_of(host: str) -> str:
    """What counts as one address: of IPv6 a /64, which is the least that a client is given."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))


def _allowed_files() -> int:
    """How many files this process may open, once it may open as many as it can be allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DEFAULTS.connections + SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return wanted if soft == resource.RLIM_INFINITY else soft
