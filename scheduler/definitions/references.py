"""References to secrets, which definitions do not contain: `{env: NAME}` or `{file: PATH}` says where each is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.definitions.nodes import Fault, Node

ENV, FILE = "env", "file"
KEPT = "$kept"
"""In a request, `{"$kept": WHY}` stands for a secret without a value: the stored one is kept."""
VERBATIM = frozenset({"body"})
"""Members that are sent to others as they are, so that nothing below them is a reference."""
MAX_BYTES = 64 * 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class References:
    """Looks up what definitions refer to."""

    read_variable: Callable[[str], str | None]
    reads_files: bool = True

    def plain(self, node: Node) -> Any:
        """Returns a node's value with references replaced. Raises Fault for one that is not valid."""
        if isinstance(node.value, dict):
            if node.value.keys() in ({ENV}, {FILE}):
                return self._found(node)
            return {key: each.plain() if key in VERBATIM else self.plain(each) for key, each in node.value.items()}
        if isinstance(node.value, list):
            return [self.plain(each) for each in node.value]
        return node.value

    def _found(self, node: Node) -> Any:
        [(how, what)] = node.members().items()
        name = what.text()
        if how == FILE and not self.reads_files:
            return _kept(f"no file is read here: {name}")
        if how == FILE:
            return _read_file(what, name)
        if not _VARIABLE.fullmatch(name):
            raise Fault(what.place, f"{name!r} is not the name of an environment variable.")
        return self.read_variable(name) or _kept(f"the environment variable {name} is not set")


def _read_file(node: Node, name: str) -> Any:
    path = Path(node.place.file).parent / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _kept(f"the file {path} does not exist")
    except OSError as error:
        raise Fault(node.place, f"{path}: {error.strerror}.") from None
    if len(content) > MAX_BYTES:
        raise Fault(node.place, f"{path} is larger than a secret can be ({MAX_BYTES >> 10} KiB).")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Fault(node.place, f"{path} is not UTF-8 text.") from None
    return text.rstrip("\r\n") or _kept(f"the file {path} is empty")


def _kept(why: str) -> dict[str, str]:
    return {KEPT: why}
