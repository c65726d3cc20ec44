"""Finds kinds, runtimes, channels and targets of installed packages by their Python entry points."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import ClassVar, TypeVar, get_args, get_origin, get_type_hints

from loguru import logger
from pydantic import TypeAdapter, ValidationError

from scheduler.domain.field_errors import message_of

Plugin = TypeVar("Plugin")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")


def with_plugins(
    group: str, ours: Mapping[str, Plugin], name_of: Callable[[object], tuple[str, Plugin]]
) -> dict[str, Plugin]:
    """Returns `ours`, and those that other packages register in the entry-point `group`, by name.

    `name_of` checks a loaded object and returns its name; it raises TypeError for an unsuitable one. A plug-in
    that cannot be loaded, fails when it is inspected, or whose name is in use is omitted with a warning that names
    it.
    """
    found = dict(ours)
    for label, loaded in _load(group):
        try:
            name, plugin = name_of(loaded)
            _check_name(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a stranger's class may raise anything
            logger.warning("The plug-in {} of {} is left out: {}", label, group, _in_words(error))
            continue
        if name in found:
            logger.warning("The plug-in {} of {} is left out: the name {!r} is in use", label, group, name)
            continue
        found[name] = plugin
    return found


def check_descriptor(plugin: type, base: type) -> None:
    """Raises TypeError unless a class defines everything that `base` declares, each value with the declared type."""
    for name, hint in get_type_hints(base).items():
        if name not in base.__annotations__ or get_origin(hint) is not ClassVar:
            continue
        if not hasattr(plugin, name):
            raise TypeError(f"it does not define its {name}")
        (declared,) = get_args(hint)
        try:
            TypeAdapter(declared).validate_python(getattr(plugin, name))
        except ValidationError as error:
            raise TypeError(f"its {name} is wrong: {message_of(error.errors()[0])}") from None


def _check_name(name: object) -> None:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise TypeError(
            f"its name {name!r} is not made of up to 50 letters, digits, dots, hyphens and underscores"
        )


def _in_words(error: BaseException) -> str:
    """Returns the text of a refusal; for other errors also the class, as they are defects of the plug-in."""
    try:
        return str(error) if type(error) is TypeError else f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # an error that cannot be printed
        return type(error).__name__


def _load(group: str) -> Iterator[tuple[str, object]]:
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        label = f"{entry.name} ({entry.value})"
        try:
            yield label, entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # also a module that exits: the others work on
            logger.warning("The plug-in {} of {} could not be loaded: {}", label, group, _in_words(error))
