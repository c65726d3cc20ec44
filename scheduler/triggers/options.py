"""The command-line options for fields of a trigger. Each kind declares those of its config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Option:
    """An option of `reveille triggers add`. Kinds may share a flag, each for its own field."""

    flag: str
    """Such as `--expr`."""
    field: str
    """The dotted path of the field that it sets."""
    help: str
    reads: Literal["text", "flag", "duration", "secret", "pairs", "number", "choice"] = "text"
    """`secret`: a text, or a file named after an `@`. `duration`: such as 20s or 5m. `pairs`: an
    object of texts, such as a=1,b=2. `number`: a whole one. `choice`: one of `choices`."""
    metavar: str | None = None
    value: object = True
    """The value that a `flag` sets."""
    unit_seconds: float = 1
    """The seconds in one unit of the field, for a `duration`."""
    choices: tuple[str, ...] = ()
    implies: bool = True
    """Whether the option alone implies this kind of trigger."""
