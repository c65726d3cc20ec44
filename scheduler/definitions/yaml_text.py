"""Reads YAML 1.2 (and so JSON) as values with places, and writes it. Knows only what JSON has: no dates, no tags.

`on`, `no`, `12:30`, `2030-01-31` and `007` are texts. Duplicate names are refused, and aliases are limited.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from scheduler.definitions.nodes import Fault, Node, Place, Scalar

MAX_DEPTH = 60
MAX_VALUES = 200_000
MAX_BYTES = 8 * 1024 * 1024
LONGEST_NUMBER = 300

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_ESCAPE = re.compile(r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|.)", re.IGNORECASE | re.DOTALL)
_MERGE = "<<"


def resolve(text: str) -> Scalar:
    """Returns what a text without quotes means."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) > LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def read_yaml(text: str, file: str) -> list[Node]:
    """Returns the documents of a YAML or JSON text. Raises Fault with the place."""
    if len(text) > MAX_BYTES:
        raise Fault(Place(file, 1, 1), f"the file is larger than {MAX_BYTES >> 20} MiB; split it.")
    if text.lstrip()[:1] in ("{", "["):
        text = _from_json(text)
    composer = _Composer(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except yaml.YAMLError as error:
        raise _syntax_fault(error, text, file) from None
    return composer.documents


def _from_json(text: str) -> str:
    """Returns JSON as YAML: it may be indented by tabs, and writes what is beyond U+FFFF as two escapes."""
    return _ESCAPE.sub(_one_escape, text.replace("\t", " "))


def _one_escape(found: re.Match[str]) -> str:
    high, low = found.groups()
    if high is None:
        return found[0]
    return f"\\U{0x10000 + (int(high, 16) - 0xD800) * 0x400 + int(low, 16) - 0xDC00:08X}"


def _syntax_fault(error: Any, text: str, file: str) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark and text[mark.index : mark.index + 1] == "\t":
        said = "a tab stands where only spaces may indent"
    return Fault(place, f"this is not YAML: {said}.")


class _OpenNode:
    """A list or an object that is being read."""

    def __init__(self, node: Node, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: Node | None = None
        self.merged: list[Node] = []


class _Composer:
    """Makes nodes of a parser's events."""

    def __init__(self, file: str) -> None:
        self.documents: list[Node] = []
        self._file = file
        self._open: list[_OpenNode] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: Any) -> None:
        """Takes the next event."""
        match event:
            case yaml.DocumentStartEvent():
                self._anchors = {}
            case yaml.ScalarEvent():
                self._add(self._scalar(event), event.anchor)
            case yaml.SequenceStartEvent():
                self._start(event, [])
            case yaml.MappingStartEvent():
                self._start(event, {})
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._add(self._alias(event), None)

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _scalar(self, event: Any) -> Node:
        self._refuse_tag(event)
        if event.style in (None, "") and event.implicit[0]:
            return Node(self._place(event), resolve(event.value))
        return Node(self._place(event), event.value)

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            raise Fault(self._place(event), f"the tag {event.tag!r} is not allowed; leave it out.")

    def _start(self, event: Any, value: list[Node] | dict[str, Node]) -> None:
        self._refuse_tag(event)
        if len(self._open) >= MAX_DEPTH:
            raise Fault(self._place(event), f"it is nested more than {MAX_DEPTH} levels deep.")
        self._open.append(_OpenNode(Node(self._place(event), value), event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        if isinstance(done.node.value, dict):
            for key, each in _merged(done.merged):
                done.node.value.setdefault(key, each)
        self._add(done.node, done.anchor)

    def _alias(self, event: Any) -> Node:
        found = self._anchors.get(event.anchor)
        if found is None:
            raise Fault(self._place(event), f"*{event.anchor} does not refer to an earlier anchor.")
        return Node(self._place(event), found.value, found.size)

    def _add(self, node: Node, anchor: str | None) -> None:
        """Adds a whole value to what is open."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.documents.append(node)
            return
        parent = self._open[-1]
        parent.node.size += node.size
        if parent.node.size > MAX_VALUES:
            raise Fault(node.place, f"it stands for more than {MAX_VALUES:,} values.")
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif isinstance(parent.node.value, dict):
            self._add_member(parent, parent.node.value, node)

    def _add_member(self, parent: _OpenNode, members: dict[str, Node], node: Node) -> None:
        if parent.key is None:
            parent.key = node
            return
        key, parent.key = parent.key, None
        name = _name_of(key)
        if name == _MERGE:
            parent.merged.extend(node.value if isinstance(node.value, list) else [node])
        elif name in members:
            first = members[name].place.line
            raise Fault(key.place, f"{name} is given twice; line {first} has it too.")
        else:
            members[name] = node


def _name_of(key: Node) -> str:
    """Returns the name of a member: `on` and `1` are names too."""
    value = key.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise Fault(key.place, f"the name of a member must be a text, not {key.said()}.")


def _merged(nodes: list[Node]) -> Iterator[tuple[str, Node]]:
    """Yields the members that `<<` adds; earlier ones win."""
    for node in nodes:
        yield from node.members().items()


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Quotes a text that would be read as something else, and indents lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if not isinstance(resolve(value), str):
        style = '"'
    elif "\n" in value.strip("\n") and all(char.isprintable() or char == "\n" for char in value):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump_yaml(value: Any) -> str:
    """Returns `value`, which JSON can carry, as YAML."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
    return text
