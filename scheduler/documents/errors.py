"""The exception that readers raise."""

from __future__ import annotations

from scheduler.domain.errors import ReveilleError


class Unreadable(ReveilleError):
    """The document cannot be read."""

    status = 502
    problem = "unreadable"
