"""Finds kinds, runtimes, channels and targets of installed packages by their Python entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import TypeVar

from loguru import logger

Plugin = TypeVar("Plugin")


def with_plugins(
    group: str, ours: Mapping[str, Plugin], name_of: Callable[[object], tuple[str, Plugin]]
) -> dict[str, Plugin]:
    """Returns `ours`, and those that other packages register in the entry-point `group`, by name.

    `name_of` checks a loaded object and returns its name; it raises TypeError for an unsuitable one. A plug-in
    that cannot be loaded, or whose name is in use, is omitted with a warning that names it.
    """
    found = dict(ours)
    for label, loaded in _load(group):
        try:
            name, plugin = name_of(loaded)
        except TypeError as error:
            logger.warning("The plug-in {} of {} is left out: {}", label, group, error)
            continue
        if name in found:
            logger.warning("The plug-in {} of {} is left out: the name {!r} is in use", label, group, name)
            continue
        found[name] = plugin
    return found


def _load(group: str) -> Iterator[tuple[str, object]]:
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        label = f"{entry.name} ({entry.value})"
        try:
            yield label, entry.load()
        except Exception as error:  # noqa: BLE001  # whatever a stranger's module raises, the others work on
            logger.warning("The plug-in {} of {} could not be loaded: {!r}", label, group, error)
