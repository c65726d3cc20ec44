"""A network of its own for a process, whose packets can be lost or slowed down as by a real network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

NOWHERE = "02:00:00:00:00:01"
"""A hardware address that nobody has: what is sent there disappears without an error."""
NARROW = ("rate", "256kbit", "burst", "8kb", "latency", "400ms")


@dataclass(frozen=True)
class Wire:
    """A network namespace, connected to the machine by a pair of virtual Ethernet devices."""

    namespace: str
    near: str
    """The machine's device."""
    far: str
    """The device in the namespace."""
    host: str
    """The machine's address."""
    guest: str

    @property
    def command(self) -> tuple[str, ...]:
        """What starts a program in the namespace."""
        return ("ip", "netns", "exec", self.namespace)

    def lose_packets(self) -> None:
        """Loses every packet in both directions, which neither end is told."""
        _run("ip", "neigh", "replace", self.guest, "lladdr", NOWHERE, "dev", self.near, "nud", "permanent")
        _run(
            *self.command,
            "ip",
            "neigh",
            "replace",
            self.host,
            "lladdr",
            NOWHERE,
            "dev",
            self.far,
            "nud",
            "permanent",
        )

    def find_again(self) -> None:
        """Delivers packets again."""
        _run("ip", "neigh", "del", self.guest, "dev", self.near)
        _run(*self.command, "ip", "neigh", "del", self.host, "dev", self.far)

    def slow_down(self) -> None:
        """Lets a quarter of a megabit through per second; what waits too long is lost."""
        _run(*self.command, "tc", "qdisc", "replace", "dev", self.far, "root", "tbf", *NARROW)

    def speed_up(self) -> None:
        """Lets everything through again."""
        _run(*self.command, "tc", "qdisc", "del", "dev", self.far, "root")


@contextmanager
def network() -> Iterator[Wire | None]:
    """Makes the namespace and both devices; yields None where this is not allowed."""
    number = os.getpid() % 16_384
    name, prefix, first = f"chaos{number}", f"10.254.{number // 64}", number % 64 * 4
    wire = Wire(name, f"{name}a", f"{name}b", f"{prefix}.{first + 1}", f"{prefix}.{first + 2}")
    try:
        _make(wire)
    except (OSError, subprocess.CalledProcessError):
        _remove(wire)
        yield None
        return
    try:
        yield wire
    finally:
        _remove(wire)


def _make(wire: Wire) -> None:
    _run("ip", "netns", "add", wire.namespace)
    _run("ip", "link", "add", wire.near, "type", "veth", "peer", "name", wire.far, "netns", wire.namespace)
    _run("ip", "address", "add", f"{wire.host}/30", "dev", wire.near)
    _run("ip", "link", "set", wire.near, "up")
    _run(*wire.command, "ip", "address", "add", f"{wire.guest}/30", "dev", wire.far)
    for device in (wire.far, "lo"):
        _run(*wire.command, "ip", "link", "set", device, "up")


def _remove(wire: Wire) -> None:
    for command in (("link", "del", wire.near), ("netns", "del", wire.namespace)):
        with suppress(OSError, subprocess.CalledProcessError):
            _run("ip", *command)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
