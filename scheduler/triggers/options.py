"""The options by which the command sets fields of a trigger's config. Each kind declares its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `reveille triggers add`. Kinds may share a flag, each for a field of its own."""

    flag: str
    """Such as `--expr`."""
    field: str
    """The dotted path of the field that it sets."""
    help: str
    reads: Literal["text", "flag", "duration", "secret"] = "text"
    """`secret`: a text, or the file named after an `@`. `duration`: such as 20s or 5m."""
    metavar: str | None = None
    value: object = True
    """What a `flag` sets the field to."""
    unit_seconds: float = 1
    """The seconds in one unit of the field that a `duration` sets."""
    implies: bool = True
    """Whether the option alone says that the trigger is of this kind."""
