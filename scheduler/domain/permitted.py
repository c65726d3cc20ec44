"""What the operator permits triggers to touch on the service's own machine, and agents to make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Permitted:
    """Nothing, unless the operator says so."""

    checks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Programs that `check` triggers may run, each with its arguments, by name."""
    file_roots: Mapping[str, str] = field(default_factory=dict)
    """Directories that `file` triggers may watch, by name."""
    agent_kinds: frozenset[str] = frozenset()
    """Kinds that need permission and that agents may make by themselves."""


NOTHING_PERMITTED = Permitted()
