"""What the operator permits triggers to access on the server, and agents to create."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Permitted:
    """The operator's permissions; nothing is permitted by default."""

    checks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Programs with arguments that `check` triggers may run, by name."""
    file_roots: Mapping[str, str] = field(default_factory=dict)
    """Directories that `file` triggers may watch, by name."""
    agent_kinds: frozenset[str] = frozenset()
    """Kinds needing permission that agents may create themselves."""


NOTHING_PERMITTED = Permitted()
