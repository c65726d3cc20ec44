"""Housekeeping as native jobs: each duty one testable pass, run by every worker process, done by one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Duty:
    """A background duty. `run` must be safe to call in several processes at once."""

    name: str
    every_seconds: float
    run: Callable[[], object]
