"""Reads files and folders of definitions into one bundle: flat lists, each item with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from scheduler.definitions.nodes import Fault, Node, Place
from scheduler.definitions.references import References
from scheduler.definitions.yaml_text import MAX_BYTES, read_yaml
from scheduler.domain.errors import InvalidField

SECTIONS = ("models", "agents", "triggers", "targets", "channels")
NESTED = ("triggers", "targets", "channels")
"""What may also stand within its agent."""
SUFFIXES = frozenset({".yaml", ".yml", ".json"})
STDIN = "-"
_PLACE = re.compile(r"\b(?:models|agents|triggers|targets|channels)\.\d+\b")
SPARE = "x-"
"""Sections whose names begin so are ignored: a place for anchors."""


class Item(NamedTuple):
    """A definition, and the agent that it stands within."""

    node: Node
    agent: Node | None

    def find(self, path: Sequence[str]) -> Place:
        """Returns the place of a field, or of the nearest one around it."""
        if path[:1] == ["agent"] and self.agent is not None:
            return self.agent.place
        return self.node.at(path).place


@dataclass(slots=True)
class Bundle:
    """The definitions of all files, in their order."""

    items: dict[str, list[Item]] = field(default_factory=lambda: {section: [] for section in SECTIONS})
    has_sections: bool = False
    """A section was named, if only an empty one. Without any, the files are empty, as after a failed export."""

    def __len__(self) -> int:
        return sum(map(len, self.items.values()))

    def body(self, references: References) -> dict[str, Any]:
        """Returns the definitions as the API takes them, with references looked up."""
        return {
            section: [_plain(section, item, references) for item in self.items[section]] for section in SECTIONS
        }

    def place(self, path: str) -> Place | None:
        """Returns the place of a field of the body, such as `triggers.3.config.expr`."""
        section, *rest = path.split(".")
        if section not in self.items or not rest or not rest[0].isdecimal():
            return None
        index = int(rest[0])
        found = self.items[section]
        return found[index].find(rest[1:]) if index < len(found) else None

    def told(self, path: str, message: str) -> str:
        """Returns an error of a field of the body with its place in the files."""
        place = self.place(path)
        if place is None:
            return f"{path}: {message}" if path and path not in message else message
        field = ".".join(path.split(".")[2:])
        text = _PLACE.sub(lambda found: str(self.place(f"{found[0]}.name") or found[0]), message)
        return f"{place}: {text}" if not field or field in text else f"{place}: {field}: {text}"

    def add(self, document: Node) -> None:
        """Adds what a document defines. Raises Fault."""
        if document.value is None:
            return
        for name, section in document.members().items():
            if name in SECTIONS:
                self.has_sections = True
                for node in section.items():
                    self._add(name, node)
            elif not name.startswith(SPARE):
                known = ", ".join(SECTIONS)
                raise Fault(
                    section.place, f"{name} is not a section of a file of definitions; the sections are {known}."
                )

    def _add(self, section: str, node: Node) -> None:
        members = node.members()
        self.items[section].append(Item(node, None))
        if section != "agents":
            return
        for nested in NESTED:
            for each in members[nested].items() if nested in members else ():
                if "agent" in each.members():
                    raise Fault(each.members()["agent"].place, "it is within its agent already: leave out agent.")
                self.items[nested].append(Item(each, node))


def read_files(names: Iterable[str], read_stdin: Callable[[], bytes]) -> Bundle:
    """Reads files, folders (their .yaml, .yml and .json files) and `-`. Raises Fault, InvalidField, OSError."""
    bundle = Bundle()
    for name in names:
        for shown, content in _contents(name, read_stdin):
            for document in read_yaml(_text_of(content, shown), shown):
                bundle.add(document)
    return bundle


def _contents(name: str, read_stdin: Callable[[], bytes]) -> Iterator[tuple[str, bytes]]:
    if name == STDIN:
        yield "<stdin>", read_stdin()
        return
    path = Path(name)
    if not path.is_dir():
        yield name, _read(path)
        return
    found = sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES and not _is_hidden(each, path))
    if not found:
        raise InvalidField(f"{name} holds no .yaml, .yml or .json file.")
    for each in found:
        yield str(each), _read(each)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _text_of(content: bytes, shown: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Fault(Place(shown, line, 1), "the file is not UTF-8 text.") from None


def _plain(section: str, item: Item, references: References) -> Mapping[str, Any]:
    members = item.node.members()
    nested = NESTED if section == "agents" else ()
    own = Node(item.node.place, {name: each for name, each in members.items() if name not in nested})
    plain = dict(references.plain(own))
    if item.agent is not None:
        name = item.agent.members().get("name")
        plain["agent"] = None if name is None else name.plain()
    return plain
