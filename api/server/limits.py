"""Limits how much a client may ask of the server before and after its request is complete."""

from __future__ import annotations

from dataclasses import dataclass


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
