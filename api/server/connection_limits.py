"""Limits the connections of a web process and what each may ask, and chooses which one to close when there are too
many.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SWEEP_SECONDS = 0.5
SPARE_FILES = 4500
"""File descriptors for other uses: live pages, WebSockets, the database."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in seconds, bytes and counts, for each web process."""

    head_seconds: float = 10.0
    """For the whole head, from its first byte or from the connection."""
    body_seconds: float = 60.0
    """For the whole body, however fast it is."""
    answer_seconds: float = 120.0
    """For the client to read the whole response."""
    grace_seconds: float = 5.0
    """After this, a body must arrive, and a response be read, at an average of `rate`."""
    rate: float = 1024.0
    """In bytes per second."""
    target_bytes: int = 4094
    """For the address in the first line."""
    head_bytes: int = 64 * 1024
    body_bytes: int = 1024 * 1024
    """A longer body is not kept: the application refuses it by its length."""
    ignored_bytes: int = 16 * 1024 * 1024
    """How much of a refused body is read, so that the refusal arrives."""
    held_bytes: int = 64 * 1024 * 1024
    """For all incomplete bodies, and for all unread responses."""
    per_address: int = 600
    """Waiting connections per address; beyond that its oldest one is closed."""
    connections: int = 4000


DEFAULTS = Limits()


class LimitedConnection(Protocol):
    """The part of a connection that the gate uses."""

    address: str
    held: int
    """The bytes of an incomplete body."""

    @property
    def is_idle(self) -> bool:
        """Whether it is between two requests, which costs little."""
        ...

    @property
    def unsent(self) -> int:
        """The bytes of a response that was not read."""
        ...

    def check(self, now: float) -> None:
        """Closes it if it takes too long."""
        ...

    def evict(self) -> None:
        """Closes it to make room."""
        ...


class Connections:
    """All connections of a process. For use on its event loop."""

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self.limits = limits
        self.held = 0
        """Bytes of bodies that are not whole."""
        self.guests: dict[LimitedConnection, None] = {}
        self._waiting: dict[str, dict[LimitedConnection, None]] = {}
        allowed = _allowed_files()
        self._most = min(limits.connections, max(allowed - SPARE_FILES, allowed // 2))

    def admit(self, guest: LimitedConnection) -> bool:
        """Admits a new connection, if necessary in place of a waiting one; False if none can be closed."""
        if len(self.guests) >= self._most and not self._evict_from_heaviest():
            return False
        self.guests[guest] = None
        return True

    def forget(self, guest: LimitedConnection) -> None:
        """Removes a closed connection."""
        self.release(guest)
        self.guests.pop(guest, None)

    def wait(self, guest: LimitedConnection) -> None:
        """Notes that the connection waits for a request."""
        waiting = self._waiting.setdefault(guest.address, {})
        waiting[guest] = None
        if len(waiting) > self.limits.per_address:
            _slowest(waiting).evict()

    def release(self, guest: LimitedConnection) -> None:
        """Notes that the connection no longer waits."""
        self.held -= guest.held
        guest.held = 0
        waiting = self._waiting.get(guest.address)
        if waiting is not None:
            waiting.pop(guest, None)
            if not waiting:
                del self._waiting[guest.address]

    def hold(self, guest: LimitedConnection, count: int) -> None:
        """Counts bytes of a body; if the total is too high, closes the oldest of the address that holds the most."""
        guest.held += count
        self.held += count
        if self.held > self.limits.held_bytes:
            self._evict_from_heaviest()

    def sweep(self, now: float) -> None:
        """Closes what takes too long, and the largest of the responses that nobody reads."""
        unsent = 0
        for guest in list(self.guests):
            guest.check(now)
            unsent += guest.unsent
        while unsent > self.limits.held_bytes:
            fattest = max(self.guests, key=lambda guest: guest.unsent)
            unsent -= fattest.unsent
            fattest.evict()

    async def watch(self, clock: Callable[[], float]) -> None:
        """Sweeps periodically."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(clock())

    def _evict_from_heaviest(self) -> bool:
        if not self._waiting:
            return False
        _slowest(max(self._waiting.values(), key=len)).evict()
        return True


def _slowest(waiting: dict[LimitedConnection, None]) -> LimitedConnection:
    """Chooses among the connections of an address: the oldest with an incomplete request, else the oldest."""
    return next((guest for guest in waiting if not guest.is_idle), next(iter(waiting)))


def group_of(host: str) -> str:
    """Returns what counts as one address: for IPv6 a /64, the smallest block that a client gets."""
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
    """Returns how many files this process may open, after raising the limit as far as permitted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DEFAULTS.connections + SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return wanted if soft == resource.RLIM_INFINITY else soft
