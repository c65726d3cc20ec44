"""The types of wanted definitions, existing ones, and changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

Key = tuple[str | None, str]
"""The agent's name, for what belongs to an agent, and the name."""
MODEL, AGENT, TRIGGER, TARGET, CHANNEL = "model", "agent", "trigger", "target", "channel"
KINDS = (MODEL, AGENT, TRIGGER, TARGET, CHANNEL)
"""In the order in which they depend on each other."""
Action = Literal["create", "update", "delete"]
Doc = dict[str, Any]
"""A definition as JSON, with all its fields and its secrets."""


@dataclass(frozen=True, slots=True)
class WantedDefinition:
    """A definition. `fields` are checked and complete, but for the fields that stay as they are if left out."""

    kind: str
    place: str
    """Its path in the request, such as `triggers.3`."""
    name: str
    agent: str | None
    renamed_from: str | None
    fields: Mapping[str, Any]
    kept: Mapping[str, str]
    """The paths of secrets without a value, and why: what is stored stays."""

    @property
    def key(self) -> Key:
        """What identifies it."""
        return self.agent, self.name


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """An existing object."""

    id: UUID
    agent: str | None
    name: str
    doc: Doc = field(repr=False)
    row: Any = field(default=None, repr=False)
    is_own: bool = False
    """Its agent made it, or the system: it is not exported."""

    @property
    def key(self) -> Key:
        """What identifies it."""
        return self.agent, self.name

    def said(self, kind: str) -> str:
        """Returns what messages call it."""
        return said(kind, self.agent, self.name)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field before and after. Of a secret there are no values."""

    path: str
    before: Any
    after: Any
    is_secret: bool = False
    edited_by: str | None = None
    """Who changed it by hand since the last apply; the change undoes that."""
    edited_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one object."""

    action: Action
    kind: str
    agent: str | None
    name: str
    fields: tuple[FieldChange, ...] = ()
    note: str | None = None
    shown_once: Mapping[str, str] = field(default_factory=dict, repr=False)
    """A generated secret, or a webhook's token."""


@dataclass(slots=True)
class ApplyResult:
    """The result of an apply."""

    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    notes: list[str] = field(default_factory=list)


def said(kind: str, agent: str | None, name: str) -> str:
    """Returns what messages call an object, such as `trigger night-watch/rounds`."""
    return f"{kind} {name}" if agent is None else f"{kind} {agent}/{name}"


def as_json(value: Any) -> Any:
    """Returns a value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, UUID) else value
