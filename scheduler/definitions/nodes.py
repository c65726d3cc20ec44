"""The values read from a file, with their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from scheduler.domain.errors import InvalidField

Scalar = str | int | float | bool | None


class Place(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Fault(InvalidField):
    """A file is not valid."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(f"{place}: {text}")


@dataclass(slots=True)
class Node:
    """A value: a scalar, a list of nodes, or an object of them."""

    place: Place
    value: Scalar | list[Node] | dict[str, Node]
    size: int = 1
    """How many values it stands for once aliases are replaced by what they name."""

    def plain(self) -> Any:
        """Returns the value without places."""
        if isinstance(self.value, dict):
            return {key: each.plain() for key, each in self.value.items()}
        if isinstance(self.value, list):
            return [each.plain() for each in self.value]
        return self.value

    def members(self) -> dict[str, Node]:
        """Returns the members of an object. Raises Fault for anything else."""
        if not isinstance(self.value, dict):
            raise Fault(self.place, f"an object (NAME: VALUE lines) is expected here, not {self.said()}.")
        return self.value

    def items(self) -> list[Node]:
        """Returns the items of a list; nothing at all is an empty one. Raises Fault for anything else."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise Fault(self.place, f"a list (lines that begin with -) is expected here, not {self.said()}.")
        return self.value

    def text(self) -> str:
        """Returns a text. Raises Fault for anything else."""
        if not isinstance(self.value, str):
            raise Fault(self.place, f"a text is expected here, not {self.said()}; put it in quotes.")
        return self.value

    def said(self) -> str:
        """Describes the value in a few words."""
        if isinstance(self.value, dict):
            return "an object"
        if isinstance(self.value, list):
            return "a list"
        return "nothing" if self.value is None else repr(self.value)[:80]

    def at(self, path: Sequence[str]) -> Node:
        """Returns the node at a path, or the last one on the way to it."""
        node = self
        for part in path:
            found = node.child(part)
            if found is None:
                return node
            node = found
        return node

    def child(self, part: str) -> Node | None:
        """Returns a member or an item."""
        if isinstance(self.value, dict):
            return self.value.get(part)
        if isinstance(self.value, list) and part.isdecimal() and int(part) < len(self.value):
            return self.value[int(part)]
        return None
