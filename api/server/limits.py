"""Limits how much a client may ask of the server before and after its request is complete."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes and counts, of each web process for itself."""

    head_seconds: float = 10.0
    """In which the whole head must come, counted from its first byte, or from the connection."""
    body_seconds: float = 60.0
    """In which the whole body must come, however fast it is."""
    answer_seconds: float = 120.0
    """In which the whole answer must be taken."""
    grace_seconds: float = 5.0
    """After it a body must come, and an answer be taken, at `rate` on average."""
    rate: float = 1024.0
    """Bytes a second."""
    target_bytes: int = 4094
    """Of the address in the first line."""
    head_bytes: int = 64 * 1024
    body_bytes: int = 1024 * 1024
    """A longer body is not kept: the application refuses it by its length."""
    ignored_bytes: int = 16 * 1024 * 1024
    """So much of a body that was refused is read, so that the refusal arrives."""
    held_bytes: int = 64 * 1024 * 1024
    """Of all bodies that are not whole, and of all answers that are not taken."""
    per_address: int = 600
    """Connections that keep us waiting for a request; beyond it the oldest of that address makes way."""
    connections: int = 4000


DEFAULTS = Limits()
